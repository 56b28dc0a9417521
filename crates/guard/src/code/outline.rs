//! What is called and imported in a file, in the spelling of the file: the
//! part of the tree that another reader can be compared with.

use super::tree::{Body, Expr, Stmt, What};

/// Names of what is called (the last one of a dotted name, `()` if it has
/// none) and modules that are imported, each once for every time. Needs
/// [`super::STACK_BYTES`] of stack.
pub fn outline(text: &str) -> Vec<String> {
    let tree = super::parse::parse(text);
    let mut found = Vec::new();
    body(&tree.body, &mut found);
    found
}

fn body(stmts: &Body<'_>, found: &mut Vec<String>) {
    stmts.iter().for_each(|stmt| statement(stmt, found));
}

fn statement(stmt: &Stmt<'_>, found: &mut Vec<String>) {
    match &stmt.what {
        What::Nothing | What::Global(_) => {}
        What::Expr(expr) | What::Return(expr) => walk(expr, found),
        What::Assign(targets, value) => {
            targets.iter().for_each(|target| walk(target, found));
            walk(value, found);
        }
        What::Change(target, _, value) => {
            walk(target, found);
            walk(value, found);
        }
        What::Function(function) => {
            let params = function.params.iter().flat_map(|p| p.default.iter().chain(&p.hint));
            let all = function.decorators.iter().chain(params).chain(&function.returns);
            all.for_each(|expr| walk(expr, found));
            body(&function.body, found);
        }
        What::Class(class) => {
            let bases = class.bases.iter().map(|base| &base.value);
            class.decorators.iter().chain(bases).for_each(|expr| walk(expr, found));
            body(&class.body, found);
        }
        What::Import(names) => {
            found.extend(names.iter().map(|(module, _)| format!("import {module}")));
        }
        What::From(module, names) => {
            found.extend(names.iter().map(|(name, _)| format!("from {module} import {name}")));
        }
        What::If(branches) | What::Match(_, branches) => {
            if let What::Match(subject, _) = &stmt.what {
                walk(subject, found);
            }
            for (test, inner) in branches {
                test.iter().for_each(|test| walk(test, found));
                body(inner, found);
            }
        }
        What::For(target, iter, inner, other) => {
            walk(target, found);
            walk(iter, found);
            body(inner, found);
            body(other, found);
        }
        What::While(test, inner, other) => {
            walk(test, found);
            body(inner, found);
            body(other, found);
        }
        What::With(items, inner) => {
            for (value, target) in items {
                walk(value, found);
                target.iter().for_each(|target| walk(target, found));
            }
            body(inner, found);
        }
        What::Try(named, bodies) => {
            named.iter().for_each(|expr| walk(expr, found));
            bodies.iter().for_each(|inner| body(inner, found));
        }
    }
}

fn walk(expr: &Expr<'_>, found: &mut Vec<String>) {
    match expr {
        Expr::Unknown | Expr::Name(_) | Expr::Int(_) | Expr::Text(_) => {}
        Expr::Attr(inner, _) | Expr::Named(_, inner) | Expr::Star(inner) | Expr::Minus(inner) => {
            walk(inner, found);
        }
        Expr::Call(call) => {
            found.push(match &call.func {
                Expr::Name(name) | Expr::Attr(_, name) => super::text::name(name).into_owned(),
                _ => "()".to_owned(),
            });
            walk(&call.func, found);
            call.args.iter().for_each(|arg| walk(&arg.value, found));
        }
        Expr::Index(inner) => {
            walk(&inner.0, found);
            walk(&inner.1, found);
        }
        Expr::Slice(all) | Expr::Cond(all) => all.iter().for_each(|expr| walk(expr, found)),
        Expr::Binary(first, rest) => {
            walk(first, found);
            rest.iter().for_each(|(_, expr)| walk(expr, found));
        }
        Expr::List(all) | Expr::Many(all) | Expr::Fields(all) => {
            all.iter().for_each(|expr| walk(expr, found));
        }
        Expr::Dict(pairs) => {
            for (key, value) in pairs {
                key.iter().for_each(|key| walk(key, found));
                walk(value, found);
            }
        }
        Expr::Comp(comp) => {
            comp.out.iter().for_each(|expr| walk(expr, found));
            for clause in &comp.clauses {
                walk(&clause.target, found);
                walk(&clause.iter, found);
                clause.tests.iter().for_each(|test| walk(test, found));
            }
        }
        Expr::Lambda(lambda) => {
            lambda.params.iter().filter_map(|p| p.default.as_ref()).for_each(|d| walk(d, found));
            walk(&lambda.body, found);
        }
    }
}
