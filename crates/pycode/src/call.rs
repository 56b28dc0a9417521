//! Calls: what is called, with what, and what that means.

use crate::fact::Deed;
use crate::fold;
use crate::places;
use crate::run::{Run, path};
use crate::tables;
use crate::text;
use crate::tree::{Call, Expr};
use crate::value::{Abs, Marks, Value};

/// Arguments with their names.
pub(crate) type Args<'t, 's> = [(Option<&'s str>, Abs<'t, 's>)];
/// The longest dotted name that is followed, in bytes.
pub(crate) const PATH_MAX: usize = 200;
/// Calls of other modules that are noted of one file.
const CALLS_MAX: usize = 1000;

impl<'t, 's> Run<'t, 's> {
    pub(crate) fn call(&mut self, call: &'t Call<'s>) -> Abs<'t, 's> {
        let line = call.line;
        let Expr::Attr(base, name) = &call.func else {
            let func = self.eval(&call.func, line);
            let args = self.args(call);
            return self.apply(&func, &args, line);
        };
        let of = self.eval(base, line);
        let args = self.args(call);
        match of.value {
            Value::Path(_) | Value::Object(_) | Value::Class(_) => {
                if let (Value::Path(_), Expr::Name(held), true) =
                    (&of.value, &**base, tables::fills(name))
                {
                    let marks = args.iter().fold(of.marks, |m, (_, a)| m.with(a.all_marks()));
                    if marks != of.marks {
                        self.bind(held, Abs { marks, value: of.value.clone() });
                    }
                }
                let func = self.attribute(&of, name);
                if let (Value::Unknown, true) = (&func.value, func.marks == of.marks) {
                    return self.method(&of, &text::name(name), &args, line);
                }
                self.apply(&func, &args, line)
            }
            _ => {
                let result = self.method(&of, &text::name(name), &args, line);
                // What is put into something, it is marked with from then on.
                if let (Expr::Name(held), true) = (&**base, tables::fills(name)) {
                    let marks = args.iter().fold(of.marks, |m, (_, a)| m.with(a.all_marks()));
                    if marks != of.marks {
                        self.bind(held, Abs { marks, value: Value::Unknown });
                    }
                }
                result
            }
        }
    }

    fn args(&mut self, call: &'t Call<'s>) -> Vec<(Option<&'s str>, Abs<'t, 's>)> {
        call.args.iter().map(|arg| (arg.name, self.eval(&arg.value, call.line))).collect()
    }

    /// What a call of `func` gives.
    pub(crate) fn apply(
        &mut self,
        func: &Abs<'t, 's>,
        args: &Args<'t, 's>,
        line: u32,
    ) -> Abs<'t, 's> {
        match &func.value {
            Value::Function(index, bound) => {
                let bound = bound.map(|class| Abs::new(Value::Object(class)));
                self.enter(*index, bound, args)
            }
            Value::Lambda(lambda) => self.lambda(lambda, args, line),
            Value::Class(class) => {
                let class = *class;
                self.make(class);
                for method in ["__new__", "__init__", "__post_init__"] {
                    let found = self.member(class, method, 0);
                    if let Some(Abs { value: Value::Function(index, _), .. }) = found {
                        self.enter(index, Some(Abs::new(Value::Object(class))), args);
                    }
                }
                // What its methods make of literals is seen by following them.
                let marks = content(args).without(Marks::COMPUTED);
                Abs { marks, value: Value::Object(class) }
            }
            Value::Path(dotted) => {
                let dotted = dotted.to_string();
                self.library(&dotted, func.marks, args, line)
            }
            Value::Object(class) => match self.member(*class, "__call__", 0) {
                Some(Abs { value: Value::Function(index, _), .. }) => {
                    self.enter(index, Some(func.clone()), args)
                }
                _ => Abs::marked(content(args)),
            },
            _ => Abs::marked(func.marks.of_content().with(content(args))),
        }
    }

    /// A call of something that is not in this file.
    fn library(&mut self, dotted: &str, of: Marks, args: &Args<'t, 's>, line: u32) -> Abs<'t, 's> {
        let first = args.first().map(|(_, value)| value.clone()).unwrap_or_default();
        let marks = of.of_content().with(content(args));
        // What is made with something else, too, is not made of literals alone.
        let mixed = !args.is_empty() && args.iter().any(|(_, arg)| !arg.is_constant());
        let own = args.iter().any(|(_, arg)| arg.all_marks().has(Marks::COMPUTED));
        let marks = if mixed && !own { marks.without(Marks::COMPUTED) } else { marks };
        if let Some(name) = dotted.strip_prefix("builtins.")
            && let Some(value) = self.builtin(name, args, line)
        {
            return value;
        }
        if let Some(whose) = tables::gives_secrets(dotted) {
            self.note(Deed::ReadsSecrets, line, &format!("{whose}: {dotted}"));
            return Abs::marked(marks.with(Marks::LOOT));
        }
        if tables::captures(dotted) {
            self.note(Deed::Captures, line, dotted);
            let given = [(None, Abs::marked(Marks::INPUT))];
            for (_, value) in args {
                if matches!(value.value, Value::Function(..) | Value::Lambda(_)) {
                    self.apply(value, &given, line);
                }
            }
            return path(format!("{dotted}()")).and(marks.with(Marks::INPUT));
        }
        if let Some(at) = tables::executes_file(dotted) {
            let named = args
                .iter()
                .find(|(name, _)| matches!(name, Some("path" | "location" | "path_name")));
            let named = named.or_else(|| args.get(at));
            if let Some((_, file)) = named {
                self.execute_file(file, line);
            }
            return path(format!("{dotted}()")).and(marks);
        }
        if Self::builds(dotted, args) {
            self.build(dotted, &first, line);
            return Abs::marked(marks);
        }
        if dotted == "operator.methodcaller"
            && first
                .text()
                .is_some_and(|name| matches!(name, "system" | "popen" | "run" | "exec" | "eval"))
        {
            let name = first.text().unwrap_or_default();
            let home = if matches!(name, "exec" | "eval") { "builtins" } else { "os" };
            let name = format!("{home}.{name}");
            return self.library(&name, of, args.get(1..).unwrap_or_default(), line);
        }
        if tables::executes(dotted) {
            self.execute(&first, dotted, line);
            return Abs::marked(marks);
        }
        if tables::spawns(dotted) {
            return self.spawn(dotted, args, line);
        }
        if tables::decodes(dotted) {
            return decoded(dotted, args).and(marks);
        }
        if tables::sends(dotted) {
            return self.send(dotted, args, line);
        }
        if tables::opens(dotted) {
            return self.open(dotted, args, line);
        }
        if let Some(name) =
            dotted.strip_prefix("os.environ.").or_else(|| dotted.strip_prefix("os.environb."))
        {
            return self.environment(name, args, line);
        }
        if matches!(dotted, "os.getenv" | "os.getenvb") {
            return self.environment("get", args, line);
        }
        if tables::is_of_channel(dotted) {
            return self.channel(dotted, args, line);
        }
        if dotted.starts_with("importlib.resources.") || dotted == "pkgutil.get_data" {
            let file = args.iter().rev().find_map(|(_, value)| value.text());
            if let Some(file) = file.filter(|file| file.contains('.')).map(str::to_owned) {
                self.file = file;
            }
            return path(format!("{dotted}()")).and(marks.with(Marks::READ));
        }
        if let Some(value) = of_paths(dotted, args) {
            let more = value.text().map(places::marks).unwrap_or_default();
            let all = args.iter().fold(marks, |m, (_, a)| m.with(a.marks));
            return value.and(all.with(more));
        }
        match dotted {
            "textwrap.dedent" | "inspect.cleandoc" | "io.StringIO" | "io.BytesIO"
                if first.raw().is_some() =>
            {
                return match first.text().filter(|_| dotted.ends_with('t') || dotted.ends_with('c'))
                {
                    Some(text) => Abs::made(dedented(text)).and(first.marks),
                    None => first,
                };
            }
            "importlib.import_module" | "importlib.__import__" | "pkgutil.resolve_name" => {
                return self.import_by_name(&first, marks);
            }
            "os.dup2" if args.iter().any(|(_, value)| is_socket(value)) => {
                self.note(Deed::GivesShell, line, dotted);
            }
            "sys.path.insert" | "sys.path.append" | "site.addsitedir" => {
                let added = args.last().map(|(_, value)| value.clone()).unwrap_or_default();
                self.add_path(&added, line);
            }
            "shutil.rmtree" | "os.removedirs" => {
                let home = first.text().is_some_and(|path| {
                    matches!(path.trim_end_matches('/'), "" | "~" | "/home" | "C:")
                });
                if home {
                    self.note(Deed::Destroys, line, dotted);
                }
            }
            "winreg.OpenKey" | "winreg.OpenKeyEx" | "winreg.CreateKey" | "winreg.CreateKeyEx"
            | "_winreg.OpenKey" | "_winreg.CreateKey" => {
                let key = args.iter().find(|(_, key)| key.marks.has(Marks::PERSISTS));
                if let Some((_, key)) = key {
                    self.note(Deed::Persists, line, key.text().unwrap_or(dotted));
                }
            }
            "pip.main" | "pip._internal.main" | "pip._internal.cli.main.main"
                if args.iter().any(|(_, words)| has_word(words, "install")) =>
            {
                self.note(Deed::Installs, line, dotted);
            }
            _ if dotted.starts_with("hashlib.") && dotted.ends_with("digest")
                || dotted == "hmac.compare_digest" =>
            {
                self.note(Deed::Verifies, line, dotted);
            }
            "subprocess.Popen().communicate" | "subprocess.Popen().stdin.write" => {
                self.feed(args, line);
            }
            "tempfile.NamedTemporaryFile().write" | "tempfile.TemporaryFile().write" => {
                self.write(&first, line);
            }
            "functools.partial" => return first.and(marks),
            "json.dumps" | "pickle.dumps" | "pprint.pformat" | "repr" => {
                let whole = self.whole_environment(&first, line);
                return Abs::marked(marks.with(whole));
            }
            "shutil.move" | "os.rename" | "os.replace" | "os.symlink" => {
                if let Some((_, to)) = args.get(1).filter(|(_, to)| to.marks.has(Marks::PERSISTS)) {
                    self.note(Deed::Persists, line, to.text().unwrap_or(dotted));
                }
            }
            _ => {}
        }
        if tables::encodes(dotted) && marks.has(Marks::LOOT) {
            self.note(Deed::Packs, line, dotted);
        }
        // Shell code in memory: bytes from nowhere, called through ctypes.
        if dotted.starts_with("ctypes.") && marks.has(Marks::DECODED) && tables::runs_memory(dotted)
        {
            self.note(Deed::ExecutesHidden, line, dotted);
        }
        self.callbacks(dotted, args, line);
        self.outward(dotted);
        let made_of_literals = !dotted.contains("()") || of.has(Marks::COMPUTED);
        let carried = made_of_literals
            && !tables::asks_the_world(dotted)
            && is_computed(args.iter().map(|(_, arg)| arg));
        let marks = if carried { marks.with(Marks::COMPUTED) } else { marks };
        if dotted.len() > PATH_MAX {
            return Abs::marked(marks);
        }
        path(format!("{dotted}()")).and(marks)
    }

    /// Returns true if `dotted` builds objects from a form that can call anything.
    fn builds(dotted: &str, args: &Args<'t, 's>) -> bool {
        let named =
            |wanted: &str| args.iter().find(|(name, _)| *name == Some(wanted)).map(|(_, v)| v);
        let is = |value: Option<&Abs<'t, 's>>, text: &str| {
            value.is_some_and(|value| value.dotted().is_some_and(|d| d.ends_with(text)))
        };
        tables::builds_objects(dotted)
            || dotted == "torch.load" && is(named("weights_only"), "builtins.False")
            || dotted == "numpy.load" && is(named("allow_pickle"), "builtins.True")
            || matches!(dotted, "yaml.load" | "yaml.load_all")
                && ["UnsafeLoader", "yaml.Loader", "CLoader", "FullLoader"]
                    .iter()
                    .any(|loader| args.iter().skip(1).any(|(_, v)| is(Some(v), loader)))
    }

    /// Objects are built from `from`.
    fn build(&mut self, dotted: &str, from: &Abs<'t, 's>, line: u32) {
        if let Some(call) = from.raw().and_then(crate::pickle::harm) {
            self.note(Deed::ExecutesHidden, line, &format!("{dotted}: calls {call}"));
        } else if let Some(file) = from.text().filter(|_| from.raw().is_some()) {
            self.note(Deed::BuildsObjects, line, file);
        } else if from.marks.has(Marks::READ) {
            let file = self.file.clone();
            self.note(Deed::BuildsObjects, line, &file);
        }
    }

    /// A file is executed, whatever it is called.
    pub(crate) fn execute_file(&mut self, file: &Abs<'t, 's>, line: u32) {
        match file.text().map(str::to_owned) {
            Some(named) => self.note(Deed::ExecutesFile, line, &named),
            None if file.marks.has(Marks::FETCHED) => {
                self.note(Deed::ExecutesFetched, line, "a file that was fetched");
            }
            None => {}
        }
    }

    /// A place is added to the search for modules.
    fn add_path(&mut self, added: &Abs<'t, 's>, line: u32) {
        let temporary = added.dotted().is_some_and(|made| made.starts_with("tempfile."));
        let shown = added.text().unwrap_or("a temporary folder").to_owned();
        let archive =
            [".zip", ".egg", ".whl", ".pyz", ".dat", ".bin"].iter().any(|e| shown.ends_with(e));
        if temporary || archive || shown.starts_with("/tmp/") {
            self.note(Deed::AddsPath, line, &shown);
        }
    }

    /// Functions of Python itself; nothing if it is like any other.
    fn builtin(&mut self, name: &str, args: &Args<'t, 's>, line: u32) -> Option<Abs<'t, 's>> {
        let first = args.first().map(|(_, value)| value.clone()).unwrap_or_default();
        let marks = content(args);
        Some(match name {
            "__import__" => {
                let whole =
                    args.len() > 3 || args.iter().any(|(name, _)| *name == Some("fromlist"));
                let known = self.import_by_name(&first, marks);
                match known.dotted().and_then(|name| name.split_once('.')) {
                    // `__import__('a.b')` gives `a`.
                    Some((top, _)) if !whole && !top.is_empty() => {
                        Self::known_path(top.to_owned()).and(known.marks)
                    }
                    _ => known,
                }
            }
            "getattr" => {
                let name = args.get(1).and_then(|(_, name)| name.text())?.to_owned();
                match &first.value {
                    Value::Path(of) => {
                        let of = of.to_string();
                        Self::known_path(format!("{of}.{name}")).and(marks)
                    }
                    // Settings, with what holds where there are none.
                    Value::Unknown if args.len() > 2 => {
                        let found = self.attribute(&first, &name);
                        Abs {
                            marks: found.marks.without(Marks::COMPUTED).without(Marks::DECODED),
                            value: found.value,
                        }
                    }
                    _ => self.attribute(&first, &name),
                }
            }
            "globals" | "locals" => path(format!("builtins.{name}()")),
            "vars" => match first.dotted() {
                Some(module) => path(format!("{module}.__dict__")),
                None => path("builtins.locals()".into()),
            },
            "globals().get" | "locals().get" | "globals().__getitem__" => {
                let name = first.text().map(str::to_owned);
                self.looked_up("builtins.globals()", name.as_deref())?
            }
            "chr" => {
                let letter = first.int().and_then(|n| char::from_u32(u32::try_from(n).ok()?))?;
                Abs::made(letter.to_string()).and(first.marks.with(Marks::DECODED))
            }
            "ord" => {
                let code = first.text().and_then(|text| text.chars().next())? as i64;
                Abs { marks: first.marks, value: Value::Int(code) }
            }
            "bytes" | "bytearray" => match first.items() {
                Some(items) => {
                    let bytes: Option<Vec<u8>> =
                        items.iter().map(|item| u8::try_from(item.int()?).ok()).collect();
                    let marks = first.all_marks().with(Marks::DECODED);
                    bytes.map(Abs::bytes).unwrap_or_default().and(marks)
                }
                None => Abs::bytes(first.raw()?.to_vec()).and(first.marks),
            },
            "str" | "repr" | "list" | "tuple" | "sorted" | "set" | "dict" => {
                let whole = self.whole_environment(&first, line);
                let marks = first.marks.without(Marks::ENVIRONMENT).with(whole).with(marks);
                match (name, first.raw()) {
                    ("str", Some(raw)) => Abs::made(String::from_utf8_lossy(raw).into_owned()),
                    // A copy of the environment is not the environment.
                    _ if whole.has(Marks::LOOT) => Abs::marked(marks),
                    _ => Abs { marks, value: first.value },
                }
                .and(marks)
            }
            "reversed" => {
                let mut turned = fold::slice(&first, None, None, Some(-1));
                // To go through what is not known from its end hides nothing.
                if !first.is_constant() {
                    turned.marks = first.marks;
                }
                let letters = turned.text().map(|text| {
                    Self::list(text.chars().map(|l| Abs::made(l.to_string())).collect())
                });
                letters.unwrap_or_else(|| turned.clone()).and(turned.marks)
            }
            "map" | "filter" => {
                let over = args.get(1).map(|(_, over)| over.clone()).unwrap_or_default();
                let items: Vec<_> = over.items().unwrap_or_default().to_vec();
                let all = items.len() <= 1 << 16;
                let mut made = Vec::new();
                for item in items.into_iter().filter(|_| all) {
                    made.push(self.apply(&first, &[(None, item)], line));
                }
                if made.is_empty() {
                    let one = self.apply(&first, &[(None, Abs::marked(over.marks))], line);
                    return Some(Abs::marked(marks.with(one.marks)));
                }
                Self::list(made).and(marks)
            }
            "compile" => Abs { marks: first.all_marks(), value: first.value },
            "staticmethod" | "classmethod" => first,
            "len" => {
                let length = match &first.value {
                    Value::Text(text) => Some(text.chars().count()),
                    Value::Bytes(bytes) => Some(bytes.len()),
                    Value::List(items) => Some(items.len()),
                    _ => None,
                };
                let value =
                    length.and_then(|n| i64::try_from(n).ok()).map_or(Value::Unknown, Value::Int);
                Abs { marks: first.marks.of_content(), value }
            }
            _ => return None,
        })
    }

    fn import_by_name(&mut self, module: &Abs<'t, 's>, marks: Marks) -> Abs<'t, 's> {
        match module.text() {
            Some(name) if !name.is_empty() && name.len() < PATH_MAX => {
                let name = name.to_owned();
                self.imported(&name);
                // `__import__('a.b')` gives `a`; that of `importlib` the other.
                let known = Self::known_path(name);
                known.and(marks.without(Marks::DECODED))
            }
            // Which module of its own, only the run would tell.
            _ => path("?".into()).and(marks),
        }
    }

    /// A method of a value that is not of this file.
    fn method(
        &mut self,
        of: &Abs<'t, 's>,
        name: &str,
        args: &Args<'t, 's>,
        line: u32,
    ) -> Abs<'t, 's> {
        let values: Vec<Abs<'t, 's>> = args.iter().map(|(_, value)| value.clone()).collect();
        if let Some(made) = fold::method(of, name, &values) {
            let more = made.text().map(places::marks).unwrap_or_default();
            return made.and(more);
        }
        // What is cut off or asked about does not come into the text.
        let takes = !matches!(
            name,
            "strip"
                | "lstrip"
                | "rstrip"
                | "removeprefix"
                | "removesuffix"
                | "startswith"
                | "endswith"
        );
        let given = if takes { content(args) } else { Marks::default() };
        let mut marks = of.marks.of_content().with(given);
        // What an object is made of says nothing of what it holds under names.
        if matches!(name, "items" | "keys" | "values") && args.is_empty() {
            marks = marks.without(Marks::COMPUTED).without(Marks::DECODED);
        }
        if !values.is_empty()
            && values.iter().any(|v| !v.is_constant())
            && !given.has(Marks::COMPUTED)
        {
            marks = marks.without(Marks::COMPUTED);
        }
        match name {
            "decode" if !values.is_empty() => {
                let codec = values.first().and_then(Abs::text).unwrap_or("utf-8");
                return fold::with_codec(of, codec);
            }
            "join" => marks = marks.with(of.marks).with(given),
            "decrypt" if !values.is_empty() => marks = marks.with(Marks::DECODED),
            "joinpath" | "expanduser" | "resolve" | "absolute" => {
                let parts = std::iter::once(of).chain(&values);
                let joined = joined(parts);
                let more = joined.text().map(places::marks).unwrap_or_default();
                return joined.and(of.marks.with(more));
            }
            "write" | "write_text" | "write_bytes" | "writelines" => {
                let direct = name != "write" && name != "writelines";
                if let (Some(text), true) =
                    (values.first(), direct || of.marks.has(Marks::WRITABLE))
                {
                    self.write(text, line);
                }
                if given.has(Marks::FETCHED) && (direct || of.marks.has(Marks::WRITABLE)) {
                    self.note(Deed::Drops, line, of.text().unwrap_or(name));
                }
                if direct && of.marks.has(Marks::PERSISTS) {
                    self.note(Deed::Persists, line, of.text().unwrap_or(name));
                }
            }
            "post" | "put" | "send" | "sendall" | "sendto" | "request" | "urlopen" | "upload"
            | "send_message" | "sendMessage" => self.leaks(name, args, line),
            _ => {}
        }
        if tables::reads(name) {
            let writes = name == "open" && writes(args);
            if writes && of.marks.has(Marks::PERSISTS) {
                self.note(Deed::Persists, line, of.text().unwrap_or(name));
            }
            if !writes && of.marks.secrets().next().is_some() {
                self.read_secrets(of.marks, of.text().unwrap_or(name), line);
                marks = marks.with(Marks::LOOT);
            }
            if writes {
                marks = of.marks.with(Marks::WRITABLE);
            } else if let Some(file) =
                of.text().filter(|_| matches!(name, "read_text" | "read_bytes" | "open"))
            {
                let file = file.to_owned();
                self.file = file;
                marks = marks.with(Marks::READ);
            }
        }
        // What a file says is not computed from its name.
        let reads = matches!(name, "open" | "read_text" | "read_bytes");
        if !reads && is_computed(std::iter::once(of).chain(&values)) {
            marks = marks.with(Marks::COMPUTED);
        }
        Abs::marked(marks)
    }

    fn environment(&mut self, name: &str, args: &Args<'t, 's>, line: u32) -> Abs<'t, 's> {
        match name {
            "copy" | "items" | "values" | "__iter__" => {
                self.note(Deed::ReadsEnvironment, line, &format!("os.environ.{name}"));
                Abs::marked(Marks::LOOT)
            }
            _ => {
                let default = args.get(1).map(|(_, value)| value.clone()).unwrap_or_default();
                let name = args.first().and_then(|(_, name)| name.text()).unwrap_or_default();
                let held = crate::eval::key(name).marks;
                if held.has(Marks::KEY) && self.keys.len() < 64 {
                    self.keys.insert(name.to_owned());
                }
                Abs { marks: default.marks.with(held), value: Value::Unknown }
            }
        }
    }

    pub(crate) fn read_secrets(&mut self, marks: Marks, what: &str, line: u32) {
        for kind in marks.secrets() {
            let name = places::SECRETS.get(kind).copied().unwrap_or_default();
            self.note(Deed::ReadsSecrets, line, &format!("{name}: {what}"));
        }
    }

    fn open(&mut self, dotted: &str, args: &Args<'t, 's>, line: u32) -> Abs<'t, 's> {
        let first = args.first().map(|(_, value)| value.clone()).unwrap_or_default();
        let shown = first.text().unwrap_or(dotted).to_owned();
        let copies = dotted.starts_with("shutil.");
        let target = if copies { args.get(1).map(|(_, to)| to.marks) } else { Some(first.marks) };
        let persists = target.is_some_and(|marks| marks.has(Marks::PERSISTS));
        let writes = copies || writes(args);
        if persists && writes {
            self.note(Deed::Persists, line, &shown);
        }
        let packs = dotted.ends_with("().add") || dotted.ends_with("().write");
        let mut marks = first.marks.of_content();
        if !writes || copies {
            self.read_secrets(first.marks, &shown, line);
            if first.marks.secrets().next().is_some() {
                marks = marks.with(Marks::LOOT);
                if packs {
                    self.note(Deed::Packs, line, dotted);
                }
            }
        }
        if writes {
            return Abs::marked(Marks::WRITABLE.with(first.marks));
        }
        if let Some(file) = first.text().filter(|_| dotted.ends_with("open")) {
            let file = file.to_owned();
            self.file = file;
            marks = marks.with(Marks::READ);
        }
        Abs::marked(marks)
    }

    fn send(&mut self, dotted: &str, args: &Args<'t, 's>, line: u32) -> Abs<'t, 's> {
        let to = args.iter().find_map(|(_, value)| value.text()).unwrap_or_default();
        let shown = if to.is_empty() { dotted.to_owned() } else { format!("{dotted}: {to}") };
        self.note(Deed::Talks, line, &shown);
        self.leaks(&shown, args, line);
        // The address of a cloud's own credentials is no address to talk to.
        let address = args.iter().fold(Marks::default(), |m, (_, a)| m.with(a.marks));
        let stolen = address.secrets().any(|kind| kind <= 3);
        if stolen {
            self.read_secrets(address, to, line);
        }
        if dotted.ends_with("urlretrieve") || dotted == "wget.download" {
            self.note(Deed::Drops, line, &shown);
        }
        // What comes back is what is fetched; a picture of it may be one.
        let media = args.iter().fold(Marks::default(), |m, (_, a)| m.with(a.marks));
        let media = if media.has(Marks::MEDIA) { Marks::MEDIA } else { Marks::default() };
        let held = if stolen { Marks::LOOT } else { Marks::default() };
        let fetched = Marks::FETCHED.with(media).with(held);
        // The other end of it, for what is sent and received later.
        let made = format!("{dotted}()");
        if tables::is_of_channel(&format!("{made}.x")) {
            path(made).and(fetched.without(Marks::FETCHED))
        } else {
            Abs::marked(fetched)
        }
    }

    /// Functions that others call at once, or at the end.
    pub(crate) fn callbacks(&mut self, dotted: &str, args: &Args<'t, 's>, line: u32) {
        if !tables::calls_back(dotted) {
            return;
        }
        let given =
            args.iter().find(|(name, _)| *name == Some("args")).map(|(_, args)| args.clone());
        let inner: Vec<_> = given
            .as_ref()
            .and_then(Abs::items)
            .unwrap_or_default()
            .iter()
            .map(|value| (None, value.clone()))
            .collect();
        let over: Vec<Abs<'t, 's>> = args
            .first()
            .and_then(|(_, v)| v.items())
            .unwrap_or_default()
            .iter()
            .take(8)
            .cloned()
            .collect();
        for (_, value) in args {
            match &value.value {
                Value::Function(..) | Value::Lambda(_) => {
                    self.apply(value, &inner, line);
                }
                Value::Path(called) if tables::executes(called) || tables::spawns(called) => {
                    self.apply(value, &inner, line);
                    for item in &over {
                        self.apply(value, &[(None, item.clone())], line);
                    }
                }
                Value::Object(class) => self.hooked(*class, line),
                _ => {}
            }
        }
    }

    /// An object is given to something that calls its methods.
    fn hooked(&mut self, class: usize, line: u32) {
        let names = self.classes.get(class).map(|class| &class.names);
        let methods: Vec<Abs<'t, 's>> = names
            .into_iter()
            .flatten()
            .filter_map(|(_, value)| match value.value {
                Value::Function(index, _) => Some(Abs::new(Value::Function(index, Some(class)))),
                _ => None,
            })
            .collect();
        for method in methods {
            self.apply(&method, &[], line);
        }
    }

    /// Notes a call of another module's function at import.
    fn outward(&mut self, dotted: &str) {
        if self.calls.len() < CALLS_MAX && !dotted.contains('(') && !tables::is_standard(dotted) {
            self.calls.insert((self.when.clone(), dotted.to_owned()));
        }
    }
}

/// `text` without the blanks with which all its lines begin.
fn dedented(text: &str) -> String {
    let blanks = |line: &str| line.len() - line.trim_start().len();
    let filled = text.lines().filter(|line| !line.trim().is_empty());
    let common = filled.map(blanks).min().unwrap_or(0);
    let lines = text.lines().map(|line| line.get(common.min(blanks(line))..).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns true if values are made of nothing but literals, one of them long
/// enough to hold code.
fn is_computed<'a, 's: 't, 't: 'a>(values: impl Iterator<Item = &'a Abs<'t, 's>>) -> bool {
    let mut carries = false;
    for value in values {
        if !value.is_constant() {
            return false;
        }
        carries |= value.is_long(4);
    }
    carries
}

/// Returns true if a list of texts holds `word`.
fn has_word(words: &Abs<'_, '_>, word: &str) -> bool {
    words.items().is_some_and(|items| items.iter().any(|item| item.text() == Some(word)))
}

fn is_socket(value: &Abs<'_, '_>) -> bool {
    value.dotted().is_some_and(|made| made.starts_with("socket.") || made.starts_with("ssl."))
}

/// What the arguments of a call hold together.
pub(crate) fn content(args: &Args<'_, '_>) -> Marks {
    args.iter().fold(Marks::default(), |marks, (_, arg)| marks.with(arg.all_marks().of_content()))
}

/// Returns true if a file is opened to be written: `open(path, "w")`, `open(path, mode="ab")`.
fn writes(args: &Args<'_, '_>) -> bool {
    args.iter().any(|(name, value)| {
        let mode = value.text().unwrap_or_default();
        (name.is_none() || *name == Some("mode"))
            && mode.len() <= 3
            && mode.starts_with(['w', 'a', 'x'])
            && mode.chars().all(|l| "waxbt+".contains(l))
    })
}

fn decoded<'t, 's>(dotted: &str, args: &Args<'t, 's>) -> Abs<'t, 's> {
    let Some((_, first)) = args.first() else { return Abs::marked(Marks::DECODED) };
    if dotted == "codecs.decode" {
        let codec = args.get(1).and_then(|(_, codec)| codec.text()).unwrap_or("utf-8");
        return fold::with_codec(first, codec);
    }
    let plain = first.raw().and_then(|raw| fold::decode(dotted, raw));
    plain.map(Abs::bytes).unwrap_or_default().and(first.marks.with(Marks::DECODED))
}

/// Paths that are put together; nothing if `dotted` makes none.
fn of_paths<'t, 's>(dotted: &str, args: &Args<'t, 's>) -> Option<Abs<'t, 's>> {
    let values = || args.iter().map(|(_, value)| value);
    match dotted {
        "pathlib.Path.home" => Some(Abs::made("~".into())),
        "os.path.dirname" | "posixpath.dirname" => {
            let path = args.first().and_then(|(_, path)| path.text())?;
            Some(Abs::made(crate::eval::parent(path)))
        }
        "os.path.join" | "posixpath.join" | "ntpath.join" | "pathlib.Path" | "pathlib.PurePath"
        | "pathlib.PosixPath" | "os.path.expanduser" | "os.path.expandvars" | "os.path.abspath"
        | "os.path.realpath" | "os.path.normpath" | "os.fspath" => Some(joined(values())),
        _ => None,
    }
}

/// Parts of a path with `/` between them; what is not known is one letter.
fn joined<'a, 't: 'a, 's: 'a>(parts: impl Iterator<Item = &'a Abs<'t, 's>>) -> Abs<'t, 's> {
    let mut made = String::new();
    for part in parts {
        if !made.is_empty() && !made.ends_with('/') {
            made.push('/');
        }
        made.push_str(part.text().filter(|text| text.len() < 1024).unwrap_or("\u{fffc}"));
        if made.len() > 4096 {
            break;
        }
    }
    Abs::made(made)
}
