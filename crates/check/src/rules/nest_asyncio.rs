//! `nest_asyncio.apply`.

use super::{Context, Rule, Severity};

/// `SL007`
pub(super) const RULE: Rule = Rule {
    code: "SL007",
    name: "nest-asyncio",
    severity: Severity::Warning,
    summary: "nest_asyncio patches asyncio",
    documentation: "\
## What it does
Finds calls of `nest_asyncio.apply`.

## Why is this bad?
It replaces asyncio's own classes with slow ones for the whole process, works with asyncio's loop only, and holds back each outer call until
the innermost has ended.

## Example
```python
nest_asyncio.apply()
```

## Use instead
`await` all the way up (`soliloop check --fix`), or let the loop nest: `soliloop.run(main())` makes one that does, and patches nothing.
",
};

/// Whether a function is one that patches asyncio.
pub(crate) fn is_patch(path: &str) -> bool {
    matches!(path, "nest_asyncio.apply" | "nest_asyncio2.apply")
}

pub(super) fn check(context: &mut Context<'_>) {
    for call in &context.graph.outside {
        if is_patch(context.program.values.path_text(call.path)) {
            let (function, span) = (call.caller, call.site.span);
            let message = "`nest_asyncio.apply` patches asyncio for the whole process".to_owned();
            let help = "`await` all the way up, or let the loop nest: start the program with soliloop.run()";
            context.report(&RULE, function, span, message, help, &["nest_asyncio.apply".to_owned()]);
        }
    }
}
