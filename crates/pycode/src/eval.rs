//! Expressions: what they are, and where it comes from.

use crate::fact::Deed;
use crate::fold;
use crate::places;
use crate::run::{Run, path};
use crate::tables;
use crate::text;
use crate::tree::{Comp, Expr, Op};
use crate::value::{Abs, Marks, Value};

/// The folder of the file that is read, as the beginning of a path.
pub(crate) const HERE: &str = "\u{fffc}here";

/// The longest dotted name to which another part is added, in bytes.
const PATH_MAX: usize = 400;

impl<'t, 's> Run<'t, 's> {
    pub(crate) fn eval(&mut self, expr: &'t Expr<'s>, line: u32) -> Abs<'t, 's> {
        if !self.step() {
            return Abs::default();
        }
        let value = self.value(expr, line);
        // Long values cost their making.
        self.charge(match &value.value {
            Value::Text(text::Txt::Made(made)) => made.len() as u64 >> 5,
            Value::Bytes(bytes) => bytes.len() as u64 >> 5,
            Value::List(items) => items.len() as u64 >> 4,
            _ => 0,
        });
        value
    }

    fn value(&mut self, expr: &'t Expr<'s>, line: u32) -> Abs<'t, 's> {
        match expr {
            Expr::Unknown => Abs::default(),
            Expr::Name(name) => self.named(name, line),
            Expr::Int(int) => Abs::new(Value::Int(*int)),
            Expr::Text(spans) => self.literal(spans),
            Expr::Fields(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.eval(part, line)).collect();
                Self::fields(&parts)
            }
            Expr::Attr(base, name) => {
                let base = self.eval(base, line);
                self.attribute(&base, name)
            }
            Expr::Call(call) => self.call(call),
            Expr::Index(inner) => self.index(&inner.0, &inner.1, line),
            Expr::Slice(bounds) => {
                bounds.iter().for_each(|bound| drop(self.eval(bound, line)));
                Abs::default()
            }
            Expr::Binary(first, rest) => self.joined(first, rest, line),
            Expr::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.eval(item, line)).collect();
                Self::list(items)
            }
            Expr::Dict(pairs) => {
                let mut marks = Marks::default();
                let mut factory = None;
                let mut given = Vec::new();
                for (key, value) in pairs {
                    let key = key.as_ref().map(|key| self.eval(key, line));
                    marks = marks.with(key.as_ref().map(|key| key.marks).unwrap_or_default());
                    let value = self.eval(value, line);
                    if key.as_ref().and_then(Abs::text) == Some("()") {
                        factory = value.text().map(str::to_owned);
                    } else {
                        given.push((None, value.clone()));
                    }
                    marks = marks.with(self.whole_environment(&value, line)).with(value.marks);
                }
                // `logging.config` calls what stands under this key.
                if let Some(factory) = factory {
                    let factory = Self::known_path(factory);
                    self.apply(&factory, &given, line);
                }
                Abs::marked(marks.without(Marks::ENVIRONMENT))
            }
            Expr::Comp(comp) => self.comprehension(comp, line),
            Expr::Lambda(lambda) => Abs::new(Value::Lambda(lambda)),
            Expr::Cond(parts) => {
                let [test, yes, no] = &**parts;
                self.eval(test, line);
                let yes = self.eval(yes, line);
                let no = self.eval(no, line);
                either(yes, no)
            }
            Expr::Named(name, value) => {
                let value = self.eval(value, line);
                self.bind(name, value.clone());
                value
            }
            Expr::Star(inner) => self.eval(inner, line),
            Expr::Minus(inner) => {
                let value = self.eval(inner, line);
                let minus = value.int().and_then(i64::checked_neg);
                Abs { marks: value.marks, value: minus.map_or(Value::Unknown, Value::Int) }
            }
            Expr::Many(all) => {
                let values: Vec<_> = all.iter().map(|expr| self.eval(expr, line)).collect();
                match <[_; 1]>::try_from(values) {
                    Ok([one]) => one,
                    Err(many) => Abs::marked(Self::list(many).marks),
                }
            }
        }
    }

    fn named(&mut self, spelled: &'s str, line: u32) -> Abs<'t, 's> {
        if spelled == "__file__" && self.nested == 0 && self.lookup(spelled).is_none() {
            return Abs::made(format!("{HERE}/__file__"));
        }
        if let Some(value) = self.lookup(spelled) {
            return value.clone();
        }
        let name = text::name(spelled);
        if name != spelled {
            if let Some(value) = self.lookup(&name) {
                return value.clone();
            }
            if tables::matters(&name) {
                self.note(Deed::Disguises, line, &format!("{spelled} means {name}"));
            }
        }
        if tables::is_builtin(&name) {
            return Self::known_path(format!("builtins.{name}"));
        }
        // Executed text has the names of those who execute it.
        if self.nested > 0 && tables::is_standard(&name) {
            return Self::known_path(name.into_owned());
        }
        Abs::default()
    }

    /// What is found at a dotted name, with the marks that it has by itself.
    pub(crate) fn known_path(dotted: String) -> Abs<'t, 's> {
        let dotted = tables::real_path(dotted);
        let marks = match dotted.as_str() {
            "os.environ" | "os.environb" | "os.getenv()" => Marks::ENVIRONMENT,
            "sys.executable" | "sys._base_executable" => Marks::PYTHON,
            _ => Marks::default(),
        };
        path(dotted).and(marks)
    }

    pub(crate) fn attribute(&mut self, base: &Abs<'t, 's>, spelled: &str) -> Abs<'t, 's> {
        let name = text::name(spelled);
        match &base.value {
            // A path without end names nothing.
            Value::Path(module) if module.len() > PATH_MAX => Abs::marked(base.marks),
            Value::Path(module) => {
                let marks = base.marks.of_content();
                Self::known_path(format!("{}.{name}", &**module)).and(marks)
            }
            Value::Object(class) | Value::Class(class) => {
                let found = self.member(*class, &name, 0);
                match found {
                    Some(Abs { value: Value::Function(function, _), marks }) => {
                        Abs { marks, value: Value::Function(function, Some(*class)) }
                    }
                    Some(value) => value,
                    None => Abs::marked(base.marks),
                }
            }
            Value::Text(text) if name == "parent" => Abs::made(parent(text)).and(base.marks),
            // The way from any object to the functions of any module.
            Value::Unknown if matches!(&*name, "__globals__" | "__builtins__") => {
                Self::known_path("builtins.globals()".into())
            }
            _ => Abs::marked(base.marks),
        }
    }

    /// A name of a class or of those that it is made of.
    pub(crate) fn member(&self, class: usize, name: &str, depth: u32) -> Option<Abs<'t, 's>> {
        let class = self.classes.get(class)?;
        if let Some(value) = class.names.get(name) {
            return Some(value.clone());
        }
        let bases = class.bases.iter().filter(|_| depth < 8);
        bases.into_iter().find_map(|base| match base.value {
            Value::Class(base) => self.member(base, name, depth + 1),
            _ => None,
        })
    }

    fn index(&mut self, base: &'t Expr<'s>, index: &'t Expr<'s>, line: u32) -> Abs<'t, 's> {
        let base = self.eval(base, line);
        if let Expr::Slice(bounds) = index {
            let mut bound = |expr| self.eval(expr, line).int();
            let [start, stop, step] = &**bounds;
            let (start, stop, step) = (bound(start), bound(stop), bound(step));
            return fold::slice(&base, start, stop, step);
        }
        let index = self.eval(index, line);
        // One variable is not the environment.
        let marks = base.marks.without(Marks::ENVIRONMENT);
        let picked = match (&base.value, index.int()) {
            (Value::List(items), Some(at)) => {
                let at = if at < 0 { at + items.len() as i64 } else { at };
                usize::try_from(at).ok().and_then(|at| items.get(at)).cloned()
            }
            (Value::Text(text), Some(at)) => usize::try_from(at)
                .ok()
                .and_then(|at| text.chars().nth(at))
                .map(|letter| Abs::made(letter.to_string())),
            (Value::Path(module), None) => self.looked_up(module, index.text()),
            _ => None,
        };
        picked.unwrap_or_default().and(marks)
    }

    /// `globals()['name']`, `vars(module)['name']`, `module.__dict__['name']`,
    /// `sys.modules['name']`.
    pub(crate) fn looked_up(&mut self, of: &str, name: Option<&str>) -> Option<Abs<'t, 's>> {
        let name = name?;
        match of {
            "builtins.globals()" | "builtins.locals()" => match self.lookup(name) {
                Some(value) => Some(value.clone()),
                None if name == "__builtins__" => Some(Self::known_path("builtins".to_owned())),
                None if matches!(name, "system" | "popen") => {
                    Some(Self::known_path(format!("os.{name}")))
                }
                None if tables::matters(name) => Some(Self::known_path(format!("builtins.{name}"))),
                None => None,
            },
            "sys.modules" => Some(Self::known_path(name.to_owned())),
            "builtins" => Some(Self::known_path(format!("builtins.{name}"))),
            "os.environ" | "os.environb" => {
                let held = key(name);
                if held.marks.has(Marks::KEY) && self.keys.len() < 64 {
                    self.keys.insert(name.to_owned());
                }
                Some(held)
            }
            _ => {
                let module = of.strip_suffix(".__dict__")?;
                Some(Self::known_path(format!("{module}.{name}")))
            }
        }
    }

    fn comprehension(&mut self, comp: &'t Comp<'s>, line: u32) -> Abs<'t, 's> {
        let folded = self.folded(comp, line);
        let mut marks = Marks::default();
        for clause in &comp.clauses {
            let iter = self.eval(&clause.iter, line);
            if matches!(iter.value, Value::Text(_) | Value::Bytes(_)) && iter.is_carrier() {
                marks = marks.with(Marks::COMPUTED);
            }
            marks = marks.with(iter.all_marks().without(Marks::ENVIRONMENT));
            self.each(&clause.target, &iter, line);
            clause.tests.iter().for_each(|test| drop(self.eval(test, line)));
        }
        for out in &comp.out {
            marks = marks.with(self.eval(out, line).marks);
            if mixes(out) {
                marks = marks.with(Marks::DECODED);
            }
        }
        let value = folded.map(|folded| folded.value).unwrap_or_default();
        Abs { marks, value }
    }

    /// The items of a comprehension over a known list, as `chr(n) for n in …`.
    fn folded(&mut self, comp: &'t Comp<'s>, line: u32) -> Option<Abs<'t, 's>> {
        let [clause] = comp.clauses.as_slice() else { return None };
        let [out] = comp.out.as_slice() else { return None };
        let Expr::Name(target) = clause.target else { return None };
        if !clause.tests.is_empty() {
            return None;
        }
        let iter = self.eval(&clause.iter, line);
        let items: Vec<Abs<'t, 's>> = match &iter.value {
            Value::List(items) => items.to_vec(),
            Value::Bytes(bytes) => {
                bytes.iter().map(|b| Abs::new(Value::Int(i64::from(*b)))).collect()
            }
            Value::Text(text) => text.chars().map(|l| Abs::made(l.to_string())).collect(),
            _ => return None,
        };
        if items.len() < 4
            || items.len() > 1 << 16
            || !items.iter().all(|i| i.int().is_some() || i.text().is_some())
        {
            return None;
        }
        let mut made = Vec::with_capacity(items.len());
        for item in items {
            self.bind(target, item);
            let one = self.eval(out, line);
            if one.int().is_none() && one.raw().is_none() {
                return None;
            }
            made.push(one);
        }
        Some(Self::list(made))
    }

    fn fields(parts: &[Abs<'t, 's>]) -> Abs<'t, 's> {
        let marks = parts.iter().fold(Marks::default(), |marks, part| marks.with(part.marks));
        let mut made = String::new();
        for part in parts {
            match &part.value {
                Value::Text(text) if made.len() + text.len() < text::TEXT_MAX => {
                    made.push_str(text);
                }
                Value::Int(int) => made.push_str(&int.to_string()),
                // What is not known leaves a mark where it stands.
                Value::Path(path) if &**path == "sys.executable" => made.push_str("python"),
                _ => made.push('\u{fffc}'),
            }
        }
        let marks = marks.with(places::marks(&made));
        Abs::made(made).and(marks)
    }

    /// Notes where the whole environment is taken; what its content is marked with.
    pub(crate) fn whole_environment(&mut self, value: &Abs<'t, 's>, line: u32) -> Marks {
        if !value.marks.has(Marks::ENVIRONMENT) {
            return Marks::default();
        }
        self.note(Deed::ReadsEnvironment, line, "copies the whole environment");
        Marks::LOOT
    }
}

/// The value of the environment's variable `name`.
pub(crate) fn key<'t, 's>(name: &str) -> Abs<'t, 's> {
    if places::is_key(name) { Abs::marked(Marks::KEY) } else { Abs::default() }
}

/// The folder of a path.
pub(crate) fn parent(path: &str) -> String {
    let cut = path.trim_end_matches('/');
    cut.rsplit_once(['/', '\\']).map_or_else(|| ".".to_owned(), |(folder, _)| folder.to_owned())
}

/// One of two values: what is known of both.
fn either<'t, 's>(a: Abs<'t, 's>, b: Abs<'t, 's>) -> Abs<'t, 's> {
    let marks = a.marks.with(b.marks);
    let value = if matches!(a.value, Value::Unknown) { b.value } else { a.value };
    Abs { marks, value }
}

/// Returns true if a `^` stands somewhere in it, as in what undoes a simple cipher.
fn mixes(expr: &Expr<'_>) -> bool {
    match expr {
        Expr::Binary(first, rest) => {
            rest.iter().any(|(op, right)| *op == Op::Xor || mixes(right)) || mixes(first)
        }
        Expr::Call(call) => call.args.iter().any(|arg| mixes(&arg.value)),
        Expr::List(items) | Expr::Many(items) => items.iter().any(mixes),
        _ => false,
    }
}
