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
const PATH_MAX: usize = 200;
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
                for method in ["__new__", "__init__", "__post_init__"] {
                    let found = self.member(class, method, 0);
                    if let Some(Abs { value: Value::Function(index, _), .. }) = found {
                        self.enter(index, Some(Abs::new(Value::Object(class))), args);
                    }
                }
                Abs { marks: content(args), value: Value::Object(class) }
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
        if let Some(name) = dotted.strip_prefix("builtins.")
            && let Some(value) = self.builtin(name, args, line)
        {
            return value;
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
        if let Some(name) = dotted.strip_prefix("os.environ.") {
            return self.environment(name, args, line);
        }
        if let Some(value) = of_paths(dotted, args) {
            let more = value.text().map(places::marks).unwrap_or_default();
            let all = args.iter().fold(marks, |m, (_, a)| m.with(a.marks));
            return value.and(all.with(more));
        }
        match dotted {
            "importlib.import_module" | "importlib.__import__" | "pkgutil.resolve_name" => {
                return self.import_by_name(&first, marks);
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
        if dotted.len() > PATH_MAX {
            return Abs::marked(marks);
        }
        path(format!("{dotted}()")).and(marks)
    }

    /// Functions of Python itself; nothing if it is like any other.
    fn builtin(&mut self, name: &str, args: &Args<'t, 's>, line: u32) -> Option<Abs<'t, 's>> {
        let first = args.first().map(|(_, value)| value.clone()).unwrap_or_default();
        let marks = content(args);
        Some(match name {
            "__import__" => self.import_by_name(&first, marks),
            "getattr" => {
                let name = args.get(1).and_then(|(_, name)| name.text())?.to_owned();
                match &first.value {
                    Value::Path(of) => {
                        let of = of.to_string();
                        Self::known_path(format!("{of}.{name}")).and(marks)
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
                    _ => Abs { marks, value: first.value },
                }
                .and(marks)
            }
            "reversed" => {
                let turned = fold::slice(&first, None, None, Some(-1));
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
            _ => Abs::marked(marks),
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
        let given = content(args);
        let mut marks = of.marks.of_content().with(given);
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
                if given.has(Marks::LOOT) =>
            {
                self.note(Deed::SendsSecrets, line, name);
            }
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
            }
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
                Abs { marks: default.marks, value: Value::Unknown }
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
        Abs::marked(marks)
    }

    fn send(&mut self, dotted: &str, args: &Args<'t, 's>, line: u32) -> Abs<'t, 's> {
        let to = args.iter().find_map(|(_, value)| value.text()).unwrap_or_default();
        let shown = if to.is_empty() { dotted.to_owned() } else { format!("{dotted}: {to}") };
        self.note(Deed::Talks, line, &shown);
        if content(args).has(Marks::LOOT) {
            self.note(Deed::SendsSecrets, line, &shown);
        }
        if dotted.ends_with("urlretrieve") || dotted == "wget.download" {
            self.note(Deed::Drops, line, &shown);
        }
        // What comes back is what is fetched; a picture of it may be one.
        let media = args.iter().fold(Marks::default(), |m, (_, a)| m.with(a.marks));
        let media = if media.has(Marks::MEDIA) { Marks::MEDIA } else { Marks::default() };
        Abs::marked(Marks::FETCHED.with(media))
    }

    /// Functions that others call at once, or at the end.
    fn callbacks(&mut self, dotted: &str, args: &Args<'t, 's>, line: u32) {
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
        for (_, value) in args {
            if matches!(value.value, Value::Function(..) | Value::Lambda(_)) {
                self.apply(value, &inner, line);
            }
        }
    }

    /// Notes a call of another module's function at import.
    fn outward(&mut self, dotted: &str) {
        let import = self.when == crate::fact::When::Import;
        if import
            && self.calls.len() < CALLS_MAX
            && !dotted.contains('(')
            && !tables::is_standard(dotted)
        {
            self.calls.insert(dotted.to_owned());
        }
    }
}

/// What the arguments of a call hold together.
pub(crate) fn content(args: &Args<'_, '_>) -> Marks {
    args.iter().fold(Marks::default(), |marks, (_, arg)| marks.with(arg.all_marks().of_content()))
}

/// Whether a file is opened to be written: `open(path, "w")`, `open(path, mode="ab")`.
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
