//! What is called and imported in a file, in the spelling of the file: the
//! part of the tree that another reader can be compared with.

use crate::tree::{Body, Expr, Stmt, What};

/// Names of what is called (the last one of a dotted name, `()` if it has
/// none) and modules that are imported, each once for every time. Needs
/// [`crate::STACK_BYTES`] of stack.
pub fn outline(text: &str) -> Vec<String> {
    let tree = crate::parse::parse(text);
    let mut found = Vec::new();
    body(&tree.body, &mut found);
    found
}

fn body(stmts: &Body<'_>, found: &mut Vec<String>) {
    for stmt in stmts {
        statement(stmt, found);
    }
}

fn statement(stmt: &Stmt<'_>, found: &mut Vec<String>) {
    match &stmt.what {
        What::Nothing | What::Global(_) => {}
        What::Expr(expr) | What::Return(expr) => walk(expr, found),
        What::Assign(targets, value) => {
            each(targets, found);
            walk(value, found);
        }
        What::Change(target, _, value) => {
            walk(target, found);
            walk(value, found);
        }
        What::Function(function) => {
            let params = function.params.iter().flat_map(|p| p.default.iter().chain(&p.hint));
            let all = function.decorators.iter().chain(params).chain(&function.returns);
            each(all, found);
            body(&function.body, found);
        }
        What::Class(class) => {
            let bases = class.bases.iter().map(|base| &base.value);
            each(class.decorators.iter().chain(bases), found);
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
                each(test, found);
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
                each(target, found);
            }
            body(inner, found);
        }
        What::Try(named, bodies) => {
            each(named, found);
            for inner in bodies {
                body(inner, found);
            }
        }
    }
}

fn each<'a, 's: 'a>(exprs: impl IntoIterator<Item = &'a Expr<'s>>, found: &mut Vec<String>) {
    for expr in exprs {
        walk(expr, found);
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
                Expr::Name(name) | Expr::Attr(_, name) => crate::text::name(name).into_owned(),
                _ => "()".to_owned(),
            });
            walk(&call.func, found);
            each(call.args.iter().map(|arg| &arg.value), found);
        }
        Expr::Index(inner) => {
            walk(&inner.0, found);
            walk(&inner.1, found);
        }
        Expr::Slice(all) | Expr::Cond(all) => each(all.iter(), found),
        Expr::Binary(first, rest) => {
            walk(first, found);
            each(rest.iter().map(|(_, expr)| expr), found);
        }
        Expr::List(all) | Expr::Many(all) | Expr::Fields(all) => {
            each(all, found);
        }
        Expr::Dict(pairs) => {
            for (key, value) in pairs {
                each(key, found);
                walk(value, found);
            }
        }
        Expr::Comp(comp) => {
            each(&comp.out, found);
            for clause in &comp.clauses {
                walk(&clause.target, found);
                walk(&clause.iter, found);
                each(&clause.tests, found);
            }
        }
        Expr::Lambda(lambda) => {
            each(lambda.params.iter().filter_map(|p| p.default.as_ref()), found);
            walk(&lambda.body, found);
        }
    }
}
