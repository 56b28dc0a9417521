//! The tree, followed as Python would run it: statements, names and scopes.
//!
//! Nothing is executed. Values are followed as far as they are constants, and
//! beyond that by where they come from. Branches are all taken, loops run
//! once, functions of the file are followed into where they are called.

use crate::fact::{Deed, Fact, Summary, When, excerpt};
use crate::fold;
use crate::text::{self, Literal, Txt};
use crate::tree::{Body, Class, Expr, Function, Lambda, Op, Stmt, What};
use crate::value::{Abs, Marks, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Calls in calls that are followed.
pub(crate) const CALLS_MAX: usize = 8;
/// How often one function is followed with other arguments.
const VISITS_MAX: u32 = 3;
/// Expressions that are looked at in one file.
const STEPS_MAX: u64 = 6_000_000;
/// Parameters of a lambda that are followed.
const PARAMS_MAX: usize = 64;
/// Facts that are kept of one file.
const FACTS_MAX: usize = 500;

pub(crate) struct Known<'t, 's> {
    node: &'t Function<'s>,
    /// The class that it is a method of.
    pub(crate) class: Option<usize>,
    /// The function that it stands in.
    outer: Option<usize>,
    pub(crate) name: String,
    visits: u32,
    returns: Abs<'t, 's>,
}

pub(crate) struct Type<'t, 's> {
    pub(crate) bases: Vec<Abs<'t, 's>>,
    pub(crate) names: HashMap<&'s str, Abs<'t, 's>>,
}

#[derive(Default)]
struct Scope<'t, 's> {
    /// The function whose names these are, if they are one's.
    owner: Option<usize>,
    /// The function in whose names to look next.
    outer: Option<usize>,
    names: HashMap<&'s str, Abs<'t, 's>>,
    global: HashSet<&'s str>,
    returns: Abs<'t, 's>,
}

/// How a file is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Module,
    /// As an installer runs `setup.py`: its classes' methods are called.
    Setup,
}

pub(crate) struct Run<'t, 's> {
    text: &'s str,
    mode: Mode,
    scopes: Vec<Scope<'t, 's>>,
    pub(crate) functions: Vec<Known<'t, 's>>,
    /// Numbers of functions by where they stand in the tree.
    places: HashMap<*const Function<'s>, usize>,
    pub(crate) classes: Vec<Type<'t, 's>>,
    pub(crate) when: When,
    pub(crate) calling: Vec<usize>,
    /// How deep this text lies in texts that were decoded.
    pub(crate) nested: u32,
    facts: BTreeSet<Fact>,
    pub(crate) imports: BTreeSet<String>,
    pub(crate) calls: BTreeSet<(When, String)>,
    /// Classes that were made into objects or subclassed at import.
    touched: HashSet<usize>,
    /// Those of them whose methods were not followed yet.
    unseen: Vec<usize>,
    /// Those of them of which an object was made.
    made: HashSet<usize>,
    /// Those of them that make classes.
    makers: HashSet<usize>,
    /// Names of variables with secrets that were read.
    pub(crate) keys: BTreeSet<String>,
    /// The last file that a literal names and of which something was read.
    pub(crate) file: String,
    steps: u64,
    pub(crate) cut_short: bool,
}

/// Runs `body` and says what it does, and how many steps it took; `steps` were
/// taken before, by the text in which this one stands.
pub(crate) fn run<'s>(
    text: &'s str,
    body: &Body<'s>,
    mode: Mode,
    nested: u32,
    steps: u64,
) -> (Summary, u64) {
    let mut run = Run {
        text,
        mode,
        scopes: vec![Scope::default()],
        places: HashMap::new(),
        functions: Vec::new(),
        classes: Vec::new(),
        when: When::Import,
        calling: Vec::new(),
        nested,
        facts: BTreeSet::new(),
        imports: BTreeSet::new(),
        calls: BTreeSet::new(),
        touched: HashSet::new(),
        unseen: Vec::new(),
        makers: HashSet::new(),
        made: HashSet::new(),
        file: String::new(),
        keys: BTreeSet::new(),
        steps,
        cut_short: false,
    };
    run.body(body);
    run.dunders();
    // Functions that nobody called yet, each by itself; they may hold others.
    let mut next = 0;
    while next < run.functions.len() {
        run.alone(next);
        next += 1;
    }
    let summary = Summary {
        facts: run.facts.into_iter().collect(),
        imports: run.imports.into_iter().collect(),
        calls: run.calls.into_iter().collect(),
        cut_short: run.cut_short,
        is_package: false,
    };
    (summary, run.steps)
}

impl<'t, 's> Run<'t, 's> {
    /// Notes what is done on `line`, unless there is too much of it.
    pub(crate) fn note(&mut self, deed: Deed, line: u32, what: &str) {
        if self.facts.len() >= FACTS_MAX {
            self.cut_short = true;
            return;
        }
        let fact = Fact { deed, when: self.when.clone(), line, what: excerpt(what) };
        self.facts.insert(fact);
    }

    /// Notes what decoded text does, on the line that has it executed.
    pub(crate) fn note_inner(&mut self, inner: Summary, line: u32) {
        for fact in inner.facts {
            if fact.when == When::Import {
                let what = format!("{} (in the text that is executed)", fact.what);
                self.note(fact.deed, line, &what);
            }
        }
    }

    /// Methods that Python calls by itself, of classes that were used at import:
    /// nothing in the file says that they are called.
    fn dunders(&mut self) {
        while let Some(class) = self.unseen.pop() {
            let names = self.classes.get(class).map(|class| &class.names);
            let methods: Vec<(&str, usize)> = names
                .into_iter()
                .flatten()
                .filter(|(name, _)| {
                    name.starts_with("__") && name.ends_with("__") || **name == "run"
                })
                .filter_map(|(name, value)| match value.value {
                    Value::Function(index, _) => Some((*name, index)),
                    _ => None,
                })
                .collect();
            for (name, index) in methods {
                // Subclassing alone makes no object.
                let subclassed = matches!(
                    name,
                    "__init_subclass__" | "__set_name__" | "__class_getitem__" | "__mro_entries__"
                );
                if !self.made.contains(&class) && !self.makers.contains(&class) && !subclassed {
                    continue;
                }
                let thread = name == "run" && self.is_thread(class, 0);
                let Some(known) = self.functions.get(index) else { continue };
                if (name == "run" && !thread) || known.visits > 0 {
                    continue;
                }
                self.when = When::Import;
                let mut args = HashMap::new();
                if let Some(first) = known.node.params.first() {
                    args.insert(first.name, Abs::new(Value::Object(class)));
                }
                self.follow(index, args);
            }
        }
    }

    /// Returns true if `class` is a thread or a process.
    fn is_thread(&self, class: usize, depth: u32) -> bool {
        let bases = self.classes.get(class).map(|class| class.bases.as_slice()).unwrap_or_default();
        depth < 8
            && bases.iter().any(|base| match &base.value {
                Value::Path(path) => path.ends_with("Thread") || path.ends_with("Process"),
                Value::Class(base) => self.is_thread(*base, depth + 1),
                _ => false,
            })
    }

    /// Notes that an object of `class` is made at import.
    pub(crate) fn make(&mut self, class: usize) {
        let mut open = vec![class];
        while let Some(class) = open.pop() {
            if self.when == When::Import && self.made.insert(class) {
                self.touch(class);
                open.extend(self.bases(class));
            }
        }
    }

    /// Notes that `class` is used at import.
    pub(crate) fn touch(&mut self, class: usize) {
        let mut open = vec![class];
        while let Some(class) = open.pop() {
            if self.when == When::Import && self.touched.insert(class) {
                self.unseen.push(class);
                open.extend(self.bases(class));
            }
        }
    }

    /// The classes of this file that `class` is made of.
    fn bases(&self, class: usize) -> impl Iterator<Item = usize> {
        let bases = self.classes.get(class).into_iter().flat_map(|class| &class.bases);
        bases.filter_map(|base| if let Value::Class(base) = base.value { Some(base) } else { None })
    }

    fn alone(&mut self, index: usize) {
        let Some(known) = self.functions.get(index) else { return };
        let (node, class) = (known.node, known.class);
        let setup = self.mode == Mode::Setup && class.is_some();
        self.when = if setup { When::Import } else { When::Function(known.name.clone()) };
        let mut args = HashMap::new();
        if let (Some(class), Some(first)) = (class, node.params.first()) {
            args.insert(first.name, Abs::new(Value::Object(class)));
        }
        self.follow(index, args);
    }

    /// Follows function `index` with `names` bound; what it gives back.
    pub(crate) fn follow(
        &mut self,
        index: usize,
        names: HashMap<&'s str, Abs<'t, 's>>,
    ) -> Abs<'t, 's> {
        let Some(known) = self.functions.get_mut(index) else { return Abs::default() };
        known.visits += 1;
        let body = &known.node.body;
        let scope = Scope { owner: Some(index), outer: known.outer, names, ..Scope::default() };
        self.scopes.push(scope);
        self.calling.push(index);
        self.body(body);
        self.calling.pop();
        let returns = self.scopes.pop().map(|scope| scope.returns).unwrap_or_default();
        if let Some(known) = self.functions.get_mut(index) {
            known.returns = returns.clone();
        }
        returns
    }

    /// A call of function `index`, followed into unless it was often enough.
    pub(crate) fn enter(
        &mut self,
        index: usize,
        bound: Option<Abs<'t, 's>>,
        args: &[(Option<&'s str>, Abs<'t, 's>)],
    ) -> Abs<'t, 's> {
        let marks = args.iter().fold(Marks::default(), |m, (_, a)| m.with(a.marks.of_content()));
        let Some(known) = self.functions.get(index) else { return Abs::marked(marks) };
        let often = known.visits >= VISITS_MAX && self.when != When::Import
            || known.visits >= VISITS_MAX * 16;
        if often || self.calling.len() >= CALLS_MAX || self.calling.contains(&index) {
            return known.returns.clone().and(marks);
        }
        let mut names = HashMap::new();
        let mut positional = bound
            .into_iter()
            .chain(args.iter().filter(|(name, _)| name.is_none()).map(|(_, value)| value.clone()));
        let mut named = args.iter().filter_map(|(name, value)| Some(((*name)?, value)));
        let first = named.next();
        // Most calls name nothing.
        let named: HashMap<_, _> =
            first.map(|first| named.chain([first]).collect()).unwrap_or_default();
        for param in &known.node.params {
            let value = match named.get(param.name) {
                Some(value) => Some((*value).clone()),
                None => positional.next(),
            };
            // Defaults were evaluated where the function was defined.
            if let Some(value) = value {
                names.insert(param.name, value);
            } else if let Some(Expr::Text(spans)) = &param.default {
                names.insert(param.name, self.literal(spans));
            }
        }
        self.follow(index, names)
    }

    pub(crate) fn body(&mut self, body: &'t Body<'s>) {
        for stmt in body {
            self.statement(stmt);
        }
    }

    fn statement(&mut self, stmt: &'t Stmt<'s>) {
        match &stmt.what {
            What::Expr(Expr::Text(_)) | What::Nothing => {}
            What::Expr(expr) => drop(self.eval(expr, stmt.line)),
            What::Assign(targets, value) => {
                let value = self.eval(value, stmt.line);
                for target in targets {
                    self.assign(target, value.clone(), stmt.line);
                }
            }
            What::Change(target, op, value) => {
                let value = self.eval(value, stmt.line);
                let before = self.eval(target, stmt.line);
                self.assign(target, fold::binary(&before, *op, &value), stmt.line);
            }
            What::Return(value) => {
                let value = self.eval(value, stmt.line);
                if let Some(scope) = self.scopes.last_mut() {
                    let marks = scope.returns.marks;
                    scope.returns = value.and(marks);
                }
            }
            What::Function(function) => self.define(function, stmt.line),
            What::Class(class) => self.class(class, stmt.line),
            What::Import(names) => {
                for (module, name) in names {
                    self.import(module, *name);
                }
            }
            What::From(module, names) => self.import_from(module, names),
            What::If(branches) => self.branches(branches, stmt.line),
            What::For(target, iter, body, other) => {
                let iter = self.eval(iter, stmt.line);
                self.each(target, &iter, stmt.line);
                self.body(body);
                self.body(other);
            }
            What::While(test, body, other) => {
                self.eval(test, stmt.line);
                self.body(body);
                self.body(other);
            }
            What::With(items, body) => {
                for (value, target) in items {
                    let value = self.eval(value, stmt.line);
                    if let Some(target) = target {
                        self.assign(target, value, stmt.line);
                    }
                }
                self.body(body);
            }
            What::Try(named, bodies) => {
                for expr in named {
                    self.eval(expr, stmt.line);
                }
                for body in bodies {
                    self.body(body);
                }
            }
            What::Match(subject, cases) => {
                self.eval(subject, stmt.line);
                for (guard, body) in cases {
                    if let Some(guard) = guard {
                        self.eval(guard, stmt.line);
                    }
                    self.body(body);
                }
            }
            What::Global(names) => {
                if let Some(scope) = self.scopes.last_mut() {
                    scope.global.extend(names);
                }
            }
        }
    }

    fn branches(&mut self, branches: &'t [(Option<Expr<'s>>, Body<'s>)], line: u32) {
        for (test, body) in branches {
            if let Some(test) = test {
                if self.is_main_guard(test) {
                    let before = std::mem::replace(&mut self.when, When::Main);
                    self.body(body);
                    self.when = before;
                    continue;
                }
                let is_plain = matches!(test, Expr::Name(_) | Expr::Attr(..));
                let test = self.eval(test, line);
                // Only type checkers go there.
                if is_plain
                    && test.dotted().is_some_and(|path| path.ends_with("typing.TYPE_CHECKING"))
                {
                    continue;
                }
            }
            self.body(body);
        }
    }

    /// Returns true if what `test` guards runs only where the file is the program.
    fn is_main_guard(&self, test: &Expr<'s>) -> bool {
        let Expr::Binary(left, right) = test else { return false };
        if let [(Op::And, _), ..] = right.as_slice() {
            let right = right.iter().map(|(_, operand)| operand);
            return std::iter::once(&**left).chain(right).any(|test| self.is_main_guard(test));
        }
        let [(Op::Equal, right)] = right.as_slice() else { return false };
        let is_name = |expr: &Expr<'s>| matches!(expr, Expr::Name("__name__"));
        let is_main = |expr: &Expr<'s>| match expr {
            Expr::Text(spans) => match text::literal(self.text, spans) {
                Literal::Text(text) => &*text == "__main__",
                Literal::Bytes(_) => false,
            },
            _ => false,
        };
        let guards = is_name(left) && is_main(right) || is_main(left) && is_name(right);
        guards && self.mode == Mode::Module && self.nested == 0 && self.lookup("__name__").is_none()
    }

    fn define(&mut self, node: &'t Function<'s>, line: u32) {
        for param in &node.params {
            for expr in param.default.iter().chain(&param.hint) {
                self.eval(expr, line);
            }
            if let Some(Expr::Text(spans)) = &param.hint {
                let hint = self.literal(spans);
                self.annotation(&hint, line);
            }
        }
        if let Some(returns) = &node.returns {
            self.eval(returns, line);
        }
        let outer = self.scopes.last().and_then(|scope| scope.owner.or(scope.outer));
        let name = match outer.and_then(|outer| self.functions.get(outer)) {
            Some(outer) => format!("{}.{}", outer.name, node.name),
            None => node.name.to_owned(),
        };
        let index = self.function(node, None, outer, name);
        let function = Abs::new(Value::Function(index, None));
        for decorator in &node.decorators {
            let decorator = self.eval(decorator, line);
            self.apply(&decorator, &[(None, function.clone())], line);
        }
        self.bind(node.name, function);
    }

    /// The number of a function; one and the same for one place in the file.
    fn function(
        &mut self,
        node: &'t Function<'s>,
        class: Option<usize>,
        outer: Option<usize>,
        name: String,
    ) -> usize {
        if let Some(index) = self.places.get(&std::ptr::from_ref(node)) {
            return *index;
        }
        self.places.insert(node, self.functions.len());
        let known = Known { node, class, outer, name, visits: 0, returns: Abs::default() };
        self.functions.push(known);
        self.functions.len() - 1
    }

    fn class(&mut self, node: &'t Class<'s>, line: u32) {
        let mut bases = Vec::new();
        for base in &node.bases {
            let value = self.eval(&base.value, line);
            if let (Some("metaclass"), Value::Class(maker), When::Import) =
                (base.name, &value.value, &self.when)
            {
                self.makers.insert(*maker);
            }
            bases.push(value);
        }
        let index = self.classes.len();
        for base in &bases {
            if let Value::Class(base) = base.value {
                self.touch(base);
            }
        }
        self.classes.push(Type { bases, names: HashMap::new() });
        let outer = self.scopes.last().and_then(|scope| scope.owner.or(scope.outer));
        self.scopes.push(Scope { outer, ..Scope::default() });
        for stmt in &node.body {
            let What::Function(method) = &stmt.what else {
                self.statement(stmt);
                continue;
            };
            self.define(method, stmt.line);
            let name = format!("{}.{}", node.name, method.name);
            let number = self.function(method, Some(index), outer, name.clone());
            if let Some(known) = self.functions.get_mut(number) {
                known.class = Some(index);
                known.name = name;
            }
        }
        let names = self.scopes.pop().map(|scope| scope.names).unwrap_or_default();
        if let Some(class) = self.classes.get_mut(index) {
            class.names = names;
        }
        let class = Abs::new(Value::Class(index));
        for decorator in &node.decorators {
            let decorator = self.eval(decorator, line);
            self.apply(&decorator, &[(None, class.clone())], line);
        }
        self.bind(node.name, class);
    }

    fn import(&mut self, module: &'s str, name: Option<&'s str>) {
        let module = module.trim();
        self.imported(module);
        // `import a.b` binds `a`; `import a.b as c` binds `a.b`.
        let first = module.split('.').next().unwrap_or(module);
        let (name, path) = name.map_or((first, first), |name| (name, module));
        self.bind(name, Abs::path(path));
    }

    fn import_from(&mut self, module: &'s str, names: &[(&'s str, Option<&'s str>)]) {
        self.imported(module);
        for (name, other) in names {
            if *name == "*" {
                continue;
            }
            if module.chars().all(|letter| letter == '.') {
                self.imported(&format!("{module}{name}"));
            }
            let dot = if module.ends_with('.') { "" } else { "." };
            let path = format!("{module}{dot}{}", text::name(name));
            let path = Self::known_path(path);
            self.bind(other.unwrap_or(name), Abs { marks: Marks::default(), ..path });
        }
    }

    pub(crate) fn imported(&mut self, module: &str) {
        if self.when == When::Import && self.imports.len() < 2000 {
            self.imports.insert(module.split_whitespace().collect());
        }
    }

    pub(crate) fn bind(&mut self, name: &'s str, value: Abs<'t, 's>) {
        let Some(scope) = self.scopes.last_mut() else { return };
        let scope = if scope.global.contains(name) { self.scopes.first_mut() } else { Some(scope) };
        if let Some(scope) = scope {
            scope.names.insert(name, value);
        }
    }

    pub(crate) fn lookup(&self, name: &str) -> Option<&Abs<'t, 's>> {
        let top = self.scopes.last()?;
        if let Some(value) = top.names.get(name) {
            return Some(value);
        }
        let mut outer = top.outer;
        while let Some(owner) = outer {
            let scope = self.scopes.iter().rev().find(|scope| scope.owner == Some(owner));
            if let Some(value) = scope.and_then(|scope| scope.names.get(name)) {
                return Some(value);
            }
            outer = self.functions.get(owner).and_then(|known| known.outer);
        }
        self.scopes.first()?.names.get(name)
    }

    pub(crate) fn assign(&mut self, target: &'t Expr<'s>, value: Abs<'t, 's>, line: u32) {
        match target {
            Expr::Name(name) => self.bind(name, value),
            Expr::List(targets) if value.dotted().is_some() => {
                for target in targets {
                    self.assign(target, value.clone(), line);
                }
            }
            Expr::List(targets) => {
                for (index, target) in targets.iter().enumerate() {
                    let item = value.items().and_then(|items| items.get(index)).cloned();
                    self.assign(target, item.unwrap_or(Abs::marked(value.marks)), line);
                }
            }
            Expr::Star(target) => self.assign(target, Abs::marked(value.marks), line),
            Expr::Attr(base, name) => {
                let base = self.eval(base, line);
                if let Value::Object(class) | Value::Class(class) = base.value
                    && let Some(class) = self.classes.get_mut(class)
                {
                    class.names.insert(name, value);
                } else if let Value::Path(of) = &base.value {
                    let replaced = format!("{}.{name}", &**of);
                    self.replace(&replaced, &value, line);
                }
            }
            Expr::Index(inner) => {
                self.eval(&inner.1, line);
                if let Expr::Attr(_, "__annotations__") = &inner.0 {
                    self.annotation(&value, line);
                }
                // What a container holds, it is marked with.
                if let Expr::Name(name) = &inner.0 {
                    let held = self.lookup(name).cloned().unwrap_or_default();
                    self.bind(name, held.and(value.all_marks()));
                } else {
                    self.eval(&inner.0, line);
                }
            }
            other => drop(self.eval(other, line)),
        }
    }

    /// A text that something may evaluate as an annotation.
    fn annotation(&mut self, text: &Abs<'t, 's>, line: u32) {
        let calls =
            text.text().is_some_and(|text| text.contains('(') && text.contains("__import__"));
        if calls {
            self.execute(text, "an annotation", line);
        }
    }

    /// `module.name = value`: something of another module is replaced.
    fn replace(&mut self, replaced: &str, value: &Abs<'t, 's>, line: u32) {
        if self.when != When::Import || replaced.len() > 200 {
            return;
        }
        if replaced == "ssl._create_default_https_context" {
            self.note(Deed::Unchecks, line, replaced);
        }
        if !matches!(value.value, Value::Function(..) | Value::Lambda(_)) {
            return;
        }
        self.note(Deed::Patches, line, replaced);
        let given: Vec<_> = (0..4).map(|_| (None, Abs::marked(Marks::INPUT))).collect();
        self.apply(value, &given, line);
    }

    /// Binds the targets of a loop to what its items have in common.
    pub(crate) fn each(&mut self, target: &'t Expr<'s>, iter: &Abs<'t, 's>, line: u32) {
        let marks = iter.all_marks();
        let letters = matches!(iter.value, Value::Text(_) | Value::Bytes(_))
            || iter.items().is_some_and(|items| items.iter().all(|item| item.int().is_some()));
        let computed = letters && iter.is_carrier();
        let marks = if computed { marks.with(Marks::COMPUTED) } else { marks };
        let item = match iter.items() {
            Some([one]) => one.clone(),
            Some([first, ..]) if first.items().is_some() => first.clone().and(marks),
            _ => Abs::default(),
        };
        if marks.has(Marks::ENVIRONMENT) {
            self.note(Deed::ReadsEnvironment, line, "goes through the whole environment");
        }
        let marks = if marks.has(Marks::ENVIRONMENT) {
            marks.without(Marks::ENVIRONMENT).with(Marks::LOOT)
        } else {
            marks
        };
        let item = Abs { marks, value: item.value };
        self.assign(target, item, line);
    }

    pub(crate) fn literal(&mut self, spans: &[(u32, u32)]) -> Abs<'t, 's> {
        match text::literal(self.text, spans) {
            Literal::Text(text) => {
                let marks = crate::places::marks(&text);
                Abs { marks, value: Value::Text(text) }
            }
            Literal::Bytes(bytes) => Abs::bytes(bytes),
        }
    }

    /// Counts `steps` that were taken elsewhere, or that a value costs.
    pub(crate) fn charge(&mut self, steps: u64) {
        self.steps = self.steps.saturating_add(steps);
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns true if there is room for another step.
    pub(crate) fn step(&mut self) -> bool {
        self.steps += 1;
        self.cut_short |= self.steps > STEPS_MAX;
        self.steps <= STEPS_MAX
    }

    /// Runs the body of a lambda.
    pub(crate) fn lambda(
        &mut self,
        lambda: &'t Lambda<'s>,
        args: &[(Option<&'s str>, Abs<'t, 's>)],
        line: u32,
    ) -> Abs<'t, 's> {
        if self.calling.len() >= CALLS_MAX {
            return Abs::default();
        }
        let mut names = HashMap::new();
        let mut given = args.iter().filter(|(name, _)| name.is_none());
        for param in lambda.params.iter().take(PARAMS_MAX) {
            let named = args.iter().find(|(name, _)| *name == Some(param.name));
            if let Some((_, value)) = named.or_else(|| given.next()) {
                names.insert(param.name, value.clone());
            }
        }
        // What it uses of the function that it stands in is bound there.
        let here = self.scopes.last();
        let outer = here.and_then(|scope| scope.owner.or(scope.outer));
        let held = here.filter(|scope| scope.owner.is_none() && self.scopes.len() > 1);
        let held = held.map(|scope| scope.names.clone()).unwrap_or_default();
        let names = held.into_iter().chain(names).collect();
        self.scopes.push(Scope { outer, names, ..Scope::default() });
        self.calling.push(usize::MAX);
        let value = self.eval(&lambda.body, line);
        self.calling.pop();
        self.scopes.pop();
        value
    }

    /// A list of values as one.
    pub(crate) fn list(items: Vec<Abs<'t, 's>>) -> Abs<'t, 's> {
        let marks = items.iter().fold(Marks::default(), |marks, item| marks.with(item.marks));
        Abs { marks, value: Value::list(items) }
    }

    /// The value of operands that are joined.
    pub(crate) fn joined(
        &mut self,
        first: &'t Expr<'s>,
        rest: &'t [(Op, Expr<'s>)],
        line: u32,
    ) -> Abs<'t, 's> {
        let mut value = self.eval(first, line);
        // Texts that are added one by one are copied once.
        let mut sum = String::new();
        for (op, right) in rest {
            let right = self.eval(right, line);
            if let (Op::Add, Value::Text(more), Value::Text(first)) =
                (op, &right.value, &value.value)
                && sum.len() + first.len() + more.len() < text::TEXT_MAX
            {
                if sum.is_empty() {
                    sum.push_str(first);
                    value.value = Value::Text(Txt::Of(""));
                }
                sum.push_str(more);
                value.marks = value.marks.with(right.marks);
                continue;
            }
            if !sum.is_empty() {
                value.value = Value::from(std::mem::take(&mut sum));
            }
            value = fold::binary(&value, *op, &right);
            self.charge(value.raw().map_or(0, |raw| raw.len() as u64 >> 5));
        }
        if !sum.is_empty() {
            value.value = Value::from(sum);
        }
        // A path may be complete only now.
        let more = value.text().map(crate::places::marks).unwrap_or_default();
        value.and(more)
    }
}

/// A path made at run time.
pub(crate) fn path<'t, 's>(text: String) -> Abs<'t, 's> {
    Abs::new(Value::Path(Txt::from(text)))
}
