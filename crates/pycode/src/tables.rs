//! Functions that matter, by their dotted names: what decodes, executes,
//! spawns, sends and opens. Pure data.

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
            "create_connection" | "gethostbyname" | "gethostbyname_ex" | "getaddrinfo"
        ),
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

/// Functions of `ctypes` that make memory run, or fill it.
pub(crate) fn runs_memory(dotted: &str) -> bool {
    [
        "memmove",
        "CFUNCTYPE",
        "create_string_buffer",
        "RtlMoveMemory",
        "VirtualAlloc",
        "CreateThread",
    ]
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
    ) || dotted.ends_with("Executor().submit")
        || dotted.ends_with("Executor().map")
        || dotted.ends_with("Pool().map")
        || dotted.ends_with("Pool().apply_async")
}

/// Whether a dotted name begins with a module of Python's own library that is
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

/// Whether a name of Python itself is of interest here.
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
        )
}

/// Whether a name of Python itself can execute text or reach any other.
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
