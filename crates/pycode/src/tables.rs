//! Functions that matter, by their dotted names: what decodes, executes,
//! spawns, sends and opens. Pure data.

/// Objects that are one end of a connection, by how they are made: what their
/// methods are given leaves the machine.
const CHANNELS: [&str; 40] = [
    "asyncio.open_connection()",
    "socket.socket()",
    "socket.create_connection()",
    "ssl.wrap_socket()",
    "ssl.create_default_context().wrap_socket()",
    "ssl.SSLContext().wrap_socket()",
    "http.client.HTTPConnection()",
    "http.client.HTTPSConnection()",
    "httplib.HTTPConnection()",
    "httplib.HTTPSConnection()",
    "xmlrpc.client.ServerProxy()",
    "xmlrpclib.ServerProxy()",
    "ftplib.FTP()",
    "ftplib.FTP_TLS()",
    "telnetlib.Telnet()",
    "smtplib.SMTP()",
    "smtplib.SMTP_SSL()",
    "imaplib.IMAP4_SSL()",
    "poplib.POP3_SSL()",
    "paramiko.SSHClient()",
    "paramiko.Transport()",
    "websocket.WebSocket()",
    "websocket.create_connection()",
    "websockets.connect()",
    "slack_sdk.WebClient()",
    "slack_sdk.webhook.WebhookClient()",
    "discord.SyncWebhook",
    "discord_webhook.DiscordWebhook()",
    "telegram.Bot()",
    "telebot.TeleBot()",
    "boto3.client()",
    "boto3.resource()",
    "boto3.Session()",
    "google.cloud.storage.Client()",
    "azure.storage.blob.BlobServiceClient",
    "pycurl.Curl()",
    "pymongo.MongoClient()",
    "redis.Redis()",
    "logging.handlers.HTTPHandler()",
    "logging.handlers.SocketHandler()",
];

/// Returns true if `path` is a method of one end of a connection.
pub(crate) fn is_of_channel(path: &str) -> bool {
    CHANNELS.iter().any(|channel| path.strip_prefix(channel).is_some_and(|r| r.starts_with('.')))
}

/// Returns true if a method of one end of a connection gives what the other sends.
pub(crate) fn receives(name: &str) -> bool {
    matches!(
        name,
        "recv"
            | "recvfrom"
            | "recv_into"
            | "read"
            | "readline"
            | "makefile"
            | "getresponse"
            | "readuntil"
            | "readexactly"
            | "get_object"
    )
}

/// Functions that give secrets, and whose.
pub(crate) fn gives_secrets(path: &str) -> Option<&'static str> {
    Some(match path {
        "keyring.get_password" | "keyring.get_credential" | "secretstorage.dbus_init" => {
            "secret stores (Vault, GnuPG, keyrings)"
        }
        "win32crypt.CryptUnprotectData" => "browser logins",
        "boto3.client().get_secret_value"
        | "boto3.client().get_parameter"
        | "boto3.client().get_parameters_by_path"
        | "botocore.session.get_session().get_credentials"
        | "boto3.Session().get_credentials" => "cloud credentials (AWS)",
        "google.auth.default" => "cloud credentials (Google)",
        "azure.identity.DefaultAzureCredential().get_token" => "cloud credentials (Azure)",
        _ if path.starts_with("browser_cookie3.") || path.starts_with("rookiepy.") => {
            "browser logins"
        }
        _ => return None,
    })
}

/// Functions that take what a person types, shows or copies.
pub(crate) fn captures(path: &str) -> bool {
    matches!(
        path,
        "PIL.ImageGrab.grab"
            | "PIL.ImageGrab.grabclipboard"
            | "pyautogui.screenshot"
            | "pyscreenshot.grab"
            | "mss.mss"
            | "pynput.keyboard.Listener"
            | "pynput.mouse.Listener"
            | "keyboard.hook"
            | "keyboard.on_press"
            | "keyboard.record"
            | "keyboard.start_recording"
            | "pyperclip.paste"
            | "pyHook.HookManager"
            | "cv2.VideoCapture"
            | "sounddevice.rec"
            | "win32clipboard.GetClipboardData"
    )
}

/// Functions that build objects from a form that can call anything.
pub(crate) fn builds_objects(path: &str) -> bool {
    matches!(
        path,
        "pickle.load"
            | "pickle.loads"
            | "pickle.Unpickler().load"
            | "_pickle.load"
            | "_pickle.loads"
            | "cloudpickle.load"
            | "cloudpickle.loads"
            | "dill.load"
            | "dill.loads"
            | "jsonpickle.decode"
            | "joblib.load"
            | "shelve.open"
            | "pandas.read_pickle"
            | "yaml.unsafe_load"
            | "yaml.unsafe_load_all"
            | "yaml.full_load"
    )
}

/// Functions that execute a file that they are given, with the number of the
/// argument.
pub(crate) fn executes_file(path: &str) -> Option<usize> {
    Some(match path {
        "runpy.run_path" | "builtins.execfile" | "py_compile.compile" => 0,
        "importlib.machinery.SourceFileLoader"
        | "importlib.machinery.SourcelessFileLoader"
        | "importlib.machinery.ExtensionFileLoader"
        | "importlib.util.spec_from_file_location"
        | "imp.load_source"
        | "imp.load_compiled"
        | "imp.load_dynamic" => 1,
        _ => return None,
    })
}

/// Functions that ask the world and not their arguments: what they give is not
/// made of literals.
pub(crate) fn asks_the_world(path: &str) -> bool {
    // A function of a module that opens or reads is given a name, not the text.
    let name = path.rsplit('.').next().unwrap_or_default();
    if !path.contains("()") && matches!(name, "open" | "read" | "load" | "get" | "find") {
        return true;
    }
    let root = path.split('.').next().unwrap_or_default();
    matches!(
        root,
        "os" | "sys"
            | "platform"
            | "socket"
            | "subprocess"
            | "time"
            | "datetime"
            | "random"
            | "secrets"
            | "uuid"
            | "getpass"
            | "shutil"
            | "glob"
            | "pathlib"
            | "tempfile"
            | "configparser"
            | "argparse"
            | "inspect"
            | "importlib"
            | "pkgutil"
            | "logging"
            | "threading"
            | "asyncio"
            | "typing"
            | "collections"
            | "sysconfig"
            | "distutils"
            | "setuptools"
            | "warnings"
            | "unittest"
            | "pytest"
            | "sqlite3"
            | "types"
            | "ctypes"
            | "click"
            | "ast"
            | "linecache"
            | "traceback"
            | "gettext"
            | "locale"
            | "string"
            | "functools"
            | "contextlib"
            | "dataclasses"
            | "attr"
            | "attrs"
            | "abc"
            | "enum"
    ) || matches!(
        path,
        "re.compile"
            | "string.Template"
            | "jinja2.Template"
            | "builtins.input"
            | "builtins.open"
            | "builtins.getattr"
            | "builtins.type"
            | "builtins.globals"
            | "builtins.locals"
            | "builtins.vars"
            | "builtins.super"
    )
}

/// Functions that turn hidden text into plain text.
pub(crate) fn decodes(path: &str) -> bool {
    matches!(
        path,
        "base64.b64decode"
            | "base64.standard_b64decode"
            | "base64.urlsafe_b64decode"
            | "base64.b32decode"
            | "base64.b32hexdecode"
            | "base64.b16decode"
            | "base64.b85decode"
            | "base64.a85decode"
            | "base64.z85decode"
            | "base64.decodebytes"
            | "base64.decodestring"
            | "binascii.a2b_base64"
            | "binascii.a2b_hex"
            | "binascii.unhexlify"
            | "binascii.a2b_uu"
            | "builtins.bytes.fromhex"
            | "builtins.bytearray.fromhex"
            | "zlib.decompress"
            | "gzip.decompress"
            | "bz2.decompress"
            | "lzma.decompress"
            | "codecs.decode"
            | "codecs.getdecoder()"
            | "marshal.loads"
            | "marshal.load"
            | "quopri.decodestring"
            | "uu.decode"
    )
}

/// Functions that execute what they are given.
pub(crate) fn executes(path: &str) -> bool {
    matches!(
        path,
        "builtins.exec"
            | "builtins.eval"
            | "builtins.execfile"
            | "types.FunctionType"
            | "types.LambdaType"
            | "runpy.run_path"
            | "code.InteractiveInterpreter().runsource"
            | "code.InteractiveInterpreter().runcode"
            | "code.InteractiveConsole().runsource"
            | "code.InteractiveConsole().push"
            | "_testcapi.run_in_subinterp"
            | "_xxsubinterpreters.run_string"
    )
}

/// Functions that start a program.
pub(crate) fn spawns(path: &str) -> bool {
    let Some((module, name)) = path.rsplit_once('.') else { return false };
    match module {
        "subprocess" | "asyncio.subprocess" => matches!(
            name,
            "run"
                | "Popen"
                | "call"
                | "check_call"
                | "check_output"
                | "getoutput"
                | "getstatusoutput"
        ),
        "os" | "posix" | "nt" => {
            matches!(name, "system" | "popen" | "startfile")
                || name.starts_with("exec")
                || name.starts_with("spawn")
                || name.starts_with("posix_spawn")
        }
        "pty" => name == "spawn",
        "ctypes.CDLL()"
        | "ctypes.cdll"
        | "ctypes.WinDLL()"
        | "ctypes.windll.shell32"
        | "ctypes.windll.kernel32"
        | "ctypes.cdll.msvcrt"
        | "ctypes.cdll.LoadLibrary()"
        | "ctypes.PyDLL()" => matches!(
            name,
            "system"
                | "popen"
                | "execl"
                | "execv"
                | "execve"
                | "execvp"
                | "WinExec"
                | "ShellExecuteA"
                | "ShellExecuteW"
                | "CreateProcessA"
                | "CreateProcessW"
        ),
        "asyncio" => matches!(name, "create_subprocess_exec" | "create_subprocess_shell"),
        "popen2" | "commands" => true,
        _ => false,
    }
}

/// Functions that send something over the network, or ask for something.
pub(crate) fn sends(path: &str) -> bool {
    let Some((module, name)) = path.rsplit_once('.') else { return false };
    let verb = matches!(
        name,
        "get"
            | "post"
            | "put"
            | "patch"
            | "head"
            | "delete"
            | "options"
            | "request"
            | "send"
            | "stream"
    );
    match module {
        "requests"
        | "requests.api"
        | "httpx"
        | "requests.Session()"
        | "requests.session()"
        | "requests.sessions.Session()"
        | "httpx.Client()"
        | "httpx.AsyncClient()"
        | "aiohttp.ClientSession()" => verb,
        "urllib.request" | "urllib2" | "urllib" => {
            matches!(name, "urlopen" | "urlretrieve")
        }
        "urllib.request.build_opener()" | "urllib.request.OpenerDirector()" => name == "open",
        "http.client.HTTPConnection()"
        | "http.client.HTTPSConnection()"
        | "httplib.HTTPConnection()"
        | "httplib.HTTPSConnection()" => {
            matches!(name, "request" | "connect" | "send" | "putrequest")
        }
        "urllib3.PoolManager()" | "urllib3.ProxyManager()" => {
            matches!(name, "request" | "urlopen" | "request_encode_body")
        }
        "urllib3" | "aiohttp" => name == "request",
        "socket" => matches!(
            name,
            "create_connection"
                | "gethostbyname"
                | "gethostbyname_ex"
                | "getaddrinfo"
                | "gethostbyaddr"
        ),
        "asyncio" => matches!(name, "open_connection" | "start_unix_server"),
        "ssl" => name == "wrap_socket",
        "webbrowser" => name.starts_with("open"),
        "xmlrpc.client" | "xmlrpclib" => name == "ServerProxy",
        "logging.handlers" => matches!(name, "HTTPHandler" | "SMTPHandler" | "SysLogHandler"),
        "ftplib" => matches!(name, "FTP" | "FTP_TLS"),
        "telnetlib" => name == "Telnet",
        "pycurl.Curl()" => name == "perform",
        "discord_webhook.DiscordWebhook()" => name == "execute",
        "slack_sdk.webhook.WebhookClient()" => name == "send",
        "telegram.Bot()" | "telebot.TeleBot()" => name.starts_with("send"),
        "socket.socket()" => {
            matches!(name, "connect" | "connect_ex" | "sendto" | "send" | "sendall")
        }
        "dns.resolver" => matches!(name, "resolve" | "query"),
        "smtplib.SMTP()" | "smtplib.SMTP_SSL()" => {
            matches!(name, "sendmail" | "send_message" | "connect")
        }
        "ftplib.FTP()" => matches!(name, "connect" | "login" | "storbinary" | "retrbinary"),
        "paramiko.SSHClient()" | "websockets" => name == "connect",
        "websocket" => name == "create_connection",
        "wget" => name == "download",
        _ => false,
    }
}

/// Functions that hide what they are given.
pub(crate) fn encodes(path: &str) -> bool {
    matches!(
        path,
        "base64.b64encode"
            | "base64.urlsafe_b64encode"
            | "base64.standard_b64encode"
            | "base64.b32encode"
            | "base64.b85encode"
            | "base64.encodebytes"
            | "binascii.hexlify"
            | "binascii.b2a_base64"
            | "zlib.compress"
            | "gzip.compress"
            | "bz2.compress"
            | "lzma.compress"
            | "tarfile.open"
            | "zipfile.ZipFile"
    )
}

/// Functions that open a file or list a folder that they are given.
pub(crate) fn opens(path: &str) -> bool {
    matches!(
        path,
        "builtins.open"
            | "io.open"
            | "codecs.open"
            | "os.open"
            | "os.listdir"
            | "os.scandir"
            | "os.walk"
            | "glob.glob"
            | "glob.iglob"
            | "shutil.copy"
            | "shutil.copy2"
            | "shutil.copyfile"
            | "shutil.copytree"
            | "shutil.make_archive"
            | "linecache.getlines"
            | "configparser.ConfigParser().read"
            | "sqlite3.connect"
            | "wave.open"
            | "PIL.Image.open"
            | "tarfile.open().add"
            | "zipfile.ZipFile().write"
    )
}

/// Methods of a path or an open file that give what the file holds.
pub(crate) fn reads(method: &str) -> bool {
    matches!(
        method,
        "read"
            | "read_text"
            | "read_bytes"
            | "readlines"
            | "readline"
            | "readframes"
            | "iterdir"
            | "glob"
            | "rglob"
            | "open"
            | "getdata"
            | "tobytes"
    )
}

/// Methods that put their arguments into what they belong to.
pub(crate) fn fills(name: &str) -> bool {
    matches!(name, "append" | "extend" | "add" | "update" | "insert" | "setdefault" | "write")
}

/// Returns true if a module that is started is a tool and no part of a package.
pub(crate) fn is_tool(module: &str) -> bool {
    matches!(
        module.split('.').next().unwrap_or_default(),
        "pip"
            | "venv"
            | "ensurepip"
            | "build"
            | "pytest"
            | "unittest"
            | "http"
            | "compileall"
            | "json"
            | "zipfile"
            | "site"
            | "sysconfig"
            | "virtualenv"
            | "setuptools"
            | "black"
            | "mypy"
            | "ruff"
            | "flake8"
            | "coverage"
            | "cython"
            | "Cython"
            | "numpy"
            | "timeit"
            | "twine"
            | "wheel"
            | "ipykernel"
            | "IPython"
            | "jupyter"
            | "notebook"
            | "sphinx"
            | "trace"
            | "pdb"
            | "cProfile"
            | "isort"
            | "cibuildwheel"
            | "pyflakes"
            | "uv"
    )
}

/// Functions of `ctypes` that make memory run, or fill it.
pub(crate) fn runs_memory(dotted: &str) -> bool {
    ["memmove", "CFUNCTYPE", "RtlMoveMemory", "VirtualAlloc", "CreateThread"]
        .iter()
        .any(|name| dotted.contains(name))
}

/// Functions that call what they are given.
pub(crate) fn calls_back(dotted: &str) -> bool {
    matches!(
        dotted,
        "threading.Thread"
            | "threading.Timer"
            | "multiprocessing.Process"
            | "atexit.register"
            | "_thread.start_new_thread"
            | "sys.settrace"
            | "sys.setprofile"
            | "asyncio.run"
            | "contextlib.suppress"
            | "signal.signal"
            | "sys.addaudithook"
            | "weakref.finalize"
            | "weakref.ref"
            | "os.register_at_fork"
            | "codecs.register"
            | "codecs.register_error"
            | "multiprocessing.context.Process"
            | "multiprocessing.get_context().Process"
            | "asyncio.create_task"
            | "asyncio.ensure_future"
            | "asyncio.gather"
            | "sched.scheduler().enter"
            | "gc.callbacks.append"
            | "faulthandler.register"
            | "builtins.sorted"
            | "builtins.max"
            | "builtins.min"
            | "builtins.list.sort"
            | "builtins.iter"
            | "re.sub"
            | "re.subn"
            | "functools.reduce"
            | "itertools.starmap"
            | "itertools.accumulate"
            | "pynput.keyboard.Listener"
            | "pynput.mouse.Listener"
            | "keyboard.hook"
            | "keyboard.on_press"
            | "sys.excepthook"
            | "sys.displayhook"
            | "importlib.util.spec_from_loader"
            | "sys.meta_path.append"
            | "sys.meta_path.insert"
            | "sys.path_hooks.append"
            | "sys.path_hooks.insert"
    ) || dotted.ends_with("Executor().submit")
        || dotted.ends_with("Executor().map")
        || dotted.ends_with("Pool().map")
        || dotted.ends_with("Pool().apply_async")
}

/// Returns true if a dotted name begins with a module of Python's own library that is
/// called everywhere: a call of it leads into no package.
pub(crate) fn is_standard(dotted: &str) -> bool {
    let root = dotted.split('.').next().unwrap_or_default();
    matches!(
        root,
        "" | "abc"
            | "argparse"
            | "ast"
            | "asyncio"
            | "atexit"
            | "base64"
            | "builtins"
            | "codecs"
            | "collections"
            | "contextlib"
            | "contextvars"
            | "copy"
            | "ctypes"
            | "dataclasses"
            | "datetime"
            | "decimal"
            | "enum"
            | "errno"
            | "functools"
            | "gc"
            | "gettext"
            | "glob"
            | "hashlib"
            | "importlib"
            | "inspect"
            | "io"
            | "itertools"
            | "json"
            | "locale"
            | "logging"
            | "math"
            | "multiprocessing"
            | "numbers"
            | "operator"
            | "os"
            | "pathlib"
            | "pickle"
            | "pkgutil"
            | "platform"
            | "queue"
            | "random"
            | "re"
            | "shutil"
            | "signal"
            | "socket"
            | "string"
            | "struct"
            | "subprocess"
            | "sys"
            | "tempfile"
            | "textwrap"
            | "threading"
            | "time"
            | "traceback"
            | "types"
            | "typing"
            | "typing_extensions"
            | "unittest"
            | "uuid"
            | "warnings"
            | "weakref"
            | "zlib"
            | "numpy"
            | "pytest"
    ) && !dotted.starts_with('.')
}

/// Returns true if a name of Python itself is of interest here.
pub(crate) fn is_builtin(name: &str) -> bool {
    matters(name)
        || matches!(
            name,
            "open"
                | "getattr"
                | "globals"
                | "locals"
                | "vars"
                | "dir"
                | "chr"
                | "ord"
                | "bytes"
                | "bytearray"
                | "str"
                | "dict"
                | "list"
                | "tuple"
                | "set"
                | "map"
                | "filter"
                | "int"
                | "range"
                | "repr"
                | "reversed"
                | "sorted"
                | "enumerate"
                | "zip"
                | "print"
                | "super"
                | "setattr"
                | "format"
                | "next"
                | "iter"
                | "type"
                | "isinstance"
                | "len"
                | "input"
                | "max"
                | "min"
                | "property"
                | "True"
                | "False"
                | "classmethod"
                | "staticmethod"
        )
}

/// Returns true if a name of Python itself can execute text or reach any other.
pub(crate) fn matters(name: &str) -> bool {
    matches!(
        name,
        "exec"
            | "eval"
            | "compile"
            | "execfile"
            | "__import__"
            | "__builtins__"
            | "__loader__"
            | "breakpoint"
            | "builtins"
    )
}

/// One path for what has several: `__builtins__.exec`, `builtins.builtins.exec`,
/// `os.sys.executable`.
pub(crate) fn real_path(dotted: String) -> String {
    const SAME: [(&str, &str); 19] = [
        ("__builtins__", "builtins"),
        ("builtins.__builtins__", "builtins"),
        ("builtins.builtins", "builtins"),
        ("__builtin__", "builtins"),
        ("builtins.__dict__", "builtins"),
        ("os.sys", "sys"),
        ("subprocess.os", "os"),
        ("subprocess.sys", "sys"),
        ("shutil.os", "os"),
        ("pathlib.os", "os"),
        ("tempfile._os", "os"),
        ("importlib.sys", "sys"),
        ("six.moves.urllib", "urllib"),
        ("requests.sessions.session", "requests.Session"),
        ("six.moves.builtins", "builtins"),
        ("future.moves.builtins", "builtins"),
        ("os.popen2", "os.popen"),
        ("cPickle", "pickle"),
        ("urllib2.Request", "urllib.request.Request"),
    ];
    // Most paths begin like none of them.
    let head = dotted.split('.').next().unwrap_or_default();
    let begins = |(from, _): &&(&str, &str)| from.starts_with(head);
    for (from, to) in SAME.iter().filter(begins) {
        if let Some(rest) = dotted.strip_prefix(from)
            && (rest.is_empty() || rest.starts_with('.'))
        {
            return format!("{to}{rest}");
        }
    }
    dotted
}
