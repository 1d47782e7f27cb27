//! Calls of the standard library that give back what they were handed, or something made of it.

use super::Program;
use super::lazy::is_lazy;
use super::values::{
    Args, ArgsId, ClsId, Decoration, EMPTY, FileId, NO_ARGS, PathId, SetId, Step, Symbol, Value, ValueId,
};
use std::rc::Rc;

impl Program {
    /// Functions of the standard library whose value is one that was handed to them, or made of it.
    pub(super) fn known_call(&mut self, path: PathId, args: ArgsId) -> Option<SetId> {
        if self.unlisted.contains(&path) {
            return None;
        }
        let text = self.values.path_text(path);
        // A loop is a loop, however it was got.
        let loops = ["asyncio.CurrentLoop()", "asyncio.RunningLoop()"];
        let text = match loops.iter().find_map(|class| text.strip_prefix(class)) {
            Some(method) => format!("asyncio.AbstractEventLoop(){method}"),
            None => text.to_owned(),
        };
        let mut is_listed = true;
        let given = self.listed_call(&text, args, &mut is_listed);
        if !is_listed {
            self.unlisted.insert(path);
        }
        given
    }

    /// Whether a call of these gives the same whatever the arguments are, as far as was seen.
    pub(super) fn ignores_arguments(&self, callees: SetId) -> bool {
        let is_unlisted =
            |value: &ValueId| matches!(self.values.get(*value), Value::External(path) if self.unlisted.contains(path));
        self.values.members(callees).iter().all(is_unlisted)
    }

    /// `is_listed` becomes false for a path of which nothing is known, whatever the arguments are.
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn listed_call(&mut self, path: &str, args: ArgsId, is_listed: &mut bool) -> Option<SetId> {
        if is_lazy(path)
            && let Some(given) = self.lazy_call(path, args)
        {
            return Some(given);
        }
        let arguments = self.values.shared_arguments(args);
        let first = arguments.positional.first().copied();
        match path {
            "functools.partial" | "functools.partialmethod" | "types.MethodType" => {
                let callee = first?;
                let mut rest = Args::clone(&arguments);
                rest.positional.remove(0);
                let rest = self.values.new_args(rest);
                let mut all = Vec::new();
                for callee in self.values.shared(callee).iter().copied() {
                    all.push(self.value(Value::Partial(callee, rest)));
                }
                Some(self.values.set(all))
            }
            "functools.wraps()"
            | "functools.lru_cache"
            | "functools.cache"
            | "functools.lru_cache()"
            | "functools.singledispatch"
            | "functools.singledispatchmethod"
            | "functools.update_wrapper"
            | "functools.cmp_to_key"
            | "typing.cast"
            | "copy.copy"
            | "copy.deepcopy"
            | "weakref.proxy"
            | "typing.overload"
            | "abc.abstractmethod"
            | "typing.final"
            | "asyncio.shield"
            | "asyncio.wait_for"
            | "iter"
            | "reversed"
            | "list"
            | "tuple"
            | "set"
            | "sorted"
            | "frozenset"
            | "contextlib.closing"
            | "contextlib.aclosing"
            | "asyncio.ensure_future"
            | "asyncio.create_task"
            | "asyncio.coroutine"
            | "types.coroutine"
            | "atexit.register"
            | "staticmethod()"
            | "asyncio.AbstractEventLoop().create_task"
            | "asyncio.TaskGroup().create_task" => {
                let index = usize::from(path == "typing.cast");
                let given = arguments.positional.get(index).copied()?;
                Some(match path {
                    "asyncio.shield"
                    | "asyncio.wait_for"
                    | "asyncio.create_task"
                    | "asyncio.ensure_future"
                    | "asyncio.AbstractEventLoop().create_task"
                    | "asyncio.TaskGroup().create_task" => self.task(path, given),
                    "list" | "tuple" | "set" | "sorted" | "frozenset" | "reversed" | "iter" => {
                        let element = self.step_set(given, Step::Element);
                        if element == EMPTY {
                            return None;
                        }
                        self.single(Value::Sequence([element].into()))
                    }
                    _ => given,
                })
            }
            "enumerate" => {
                let element = self.step_set(first?, Step::Element);
                let pair = self.single(Value::Sequence([EMPTY, element].into()));
                Some(self.single(Value::Sequence([pair].into())))
            }
            "zip" => {
                let parts = arguments.positional.iter().map(|part| self.step_set(*part, Step::Element)).collect();
                let tuple = self.single(Value::Sequence(parts));
                Some(self.single(Value::Sequence([tuple].into())))
            }
            "importlib.import_module" | "__import__" => {
                let name = self.values.members(first?).first().copied()?;
                let Value::Text(name) = *self.values.get(name) else { return None };
                let name = self.values.text(name).to_owned();
                Some(self.module(FileId(0), &name))
            }
            "next" => Some(self.step_set(first?, Step::Element)),
            "anext" => Some(self.step_set(first?, Step::AsyncElement)),
            "dict" | "collections.OrderedDict" | "types.MappingProxyType" | "dict.copy" => {
                self.copied_mapping(&arguments)
            }
            "dict.get" => {
                let key = arguments.positional.get(1).and_then(|key| self.only_text(*key));
                let step = key.map_or(Step::Item, Step::Key);
                let found = self.step_set(first?, step);
                let default = arguments.positional.get(2).copied().unwrap_or(EMPTY);
                Some(self.values.union(found, default))
            }
            "asyncio.to_thread" | "anyio.to_thread.run_sync" | "starlette.concurrency.run_in_threadpool" => {
                let given = self.offloaded(&arguments, 0)?;
                (given != EMPTY).then(|| self.single(Value::Holding(given)))
            }
            "asyncio.AbstractEventLoop().run_in_executor" => {
                let given = self.offloaded(&arguments, 1)?;
                Some(self.future("asyncio.Future()", given))
            }
            "concurrent.futures.ThreadPoolExecutor().submit"
            | "concurrent.futures.ProcessPoolExecutor().submit"
            | "concurrent.futures.Executor().submit" => {
                let given = self.offloaded(&arguments, 0)?;
                Some(self.future("concurrent.futures.Future()", given))
            }
            "asyncio.wrap_future" => {
                let outside = self.external("asyncio.Future()");
                let is_given = |value: &ValueId| matches!(self.values.get(*value), Value::Holding(_));
                let given: Vec<ValueId> = self.values.members(first?).iter().copied().filter(is_given).collect();
                let given = self.values.set(given);
                Some(self.values.union(outside, given))
            }
            "contextlib.ExitStack().enter_context" | "contextlib.AsyncExitStack().enter_context" => {
                Some(self.step_set(first?, Step::Enter))
            }
            "contextlib.AsyncExitStack().enter_async_context" => {
                let entered = self.step_set(first?, Step::AsyncEnter);
                (entered != EMPTY).then(|| self.single(Value::Holding(entered)))
            }
            "contextlib.nullcontext" => {
                first.filter(|first| *first != EMPTY).map(|first| self.single(Value::Holding(first)))
            }
            "getattr" => {
                let name = self.values.members(*arguments.positional.get(1)?).first().copied();
                match name.map(|name| self.values.get(name)) {
                    Some(Value::Text(name)) => Some(self.step_set(first?, Step::Attribute(*name))),
                    Some(Value::Prefix(prefix)) => {
                        let methods = self.methods_named(first?, *prefix);
                        let default = arguments.positional.get(2).copied().unwrap_or(EMPTY);
                        Some(self.values.union(methods, default))
                    }
                    // Whatever it is called, there is something to fall back on; or nothing is known.
                    _ => Some(arguments.positional.get(2).copied().unwrap_or(EMPTY)),
                }
            }
            // Connecting such a socket waits for nothing.
            "socket.socket" => {
                let kinds = self.keyword(&arguments, "type").or_else(|| arguments.positional.get(1).copied())?;
                let is_datagram = |value: &ValueId| {
                    matches!(self.values.get(*value), Value::External(path)
                        if self.values.path_text(*path) == "socket.SOCK_DGRAM")
                };
                let is_one = self.values.members(kinds).iter().any(is_datagram);
                is_one.then(|| self.external("socket.Datagram()"))
            }
            "type" => {
                let mut all = Vec::new();
                for value in self.values.members(first?).to_vec() {
                    if let Value::Instance { class, is_exact, .. } = *self.values.get(value) {
                        all.push(self.value(Value::Class { class, is_exact }));
                    }
                }
                Some(self.values.set(all))
            }
            "property.setter" => first,
            "property" | "functools.cached_property" | "abc.abstractproperty" => {
                Some(self.decoration(Decoration::Property, first?))
            }
            "classmethod" => Some(self.decoration(Decoration::ClassMethod, first?)),
            "staticmethod" => Some(self.decoration(Decoration::StaticMethod, first?)),
            "contextlib.contextmanager" => Some(self.decoration(Decoration::ContextManager, first?)),
            "contextlib.asynccontextmanager" => Some(self.decoration(Decoration::AsyncContextManager, first?)),
            "asgiref.sync.sync_to_async" | "asgiref.sync.sync_to_async()" => {
                Some(self.decoration(Decoration::Offloaded, first?))
            }
            "asgiref.sync.async_to_sync" => Some(self.decoration(Decoration::Synchronous, first?)),
            "asyncio.gather" => {
                let future = self.external("asyncio.Future()");
                let given = arguments.positional.iter().copied().map(|part| self.step_set(part, Step::Await)).collect();
                let parts: Rc<[SetId]> = match arguments.star {
                    Some(star) => {
                        let element = self.step_set(star, Step::Element);
                        [self.step_set(element, Step::Await)].into()
                    }
                    None => given,
                };
                let results = self.single(Value::Sequence(parts));
                Some(self.values.union(future, results))
            }
            "dataclasses.field" | "attr.ib" | "attr.field" | "attrs.field" | "pydantic.Field" => {
                Some(self.field_default(&arguments))
            }
            "collections.defaultdict" => {
                let made = self.step_set(first?, Step::Call(NO_ARGS));
                Some(self.single(Value::Mapping([(None, made)].into())))
            }
            "collections.deque" => {
                let element = self.step_set(first?, Step::Element);
                Some(self.single(Value::Sequence([element].into())))
            }
            "typing.TypeVar" => self.keyword(&arguments, "bound"),
            _ => {
                *is_listed = is_lazy(path);
                None
            }
        }
    }

    /// A task or future around what is awaited: awaiting it gives the same.
    fn task(&mut self, path: &str, given: SetId) -> SetId {
        let outside = match path {
            "asyncio.wait_for" => EMPTY,
            "asyncio.TaskGroup().create_task" => self.external("asyncio.KeptTask()"),
            _ => self.external("asyncio.Task()"),
        };
        self.values.union(given, outside)
    }

    /// The methods of objects whose names begin so, unless there are too many: `getattr(self, f"do_{command}")`.
    fn methods_named(&mut self, objects: SetId, prefix: Symbol) -> SetId {
        let mut all = EMPTY;
        for object in self.values.shared(objects).iter().copied() {
            let (Value::Instance { class, .. } | Value::Class { class, .. }) = *self.values.get(object) else {
                continue;
            };
            let ancestors: Vec<ClsId> = self.ancestors(class).collect();
            let begins = |name: &Symbol| self.values.text(*name).starts_with(self.values.text(prefix));
            let names = ancestors.iter().flat_map(|one| self.own_names(*one).filter(begins).map(|name| (*one, name)));
            let methods = names.filter(|(one, name)| !self.own_method(*one, *name).is_empty());
            let mut names: Vec<Symbol> = methods.map(|(_, name)| name).collect();
            names.sort_unstable_by(|one, other| self.values.text(*one).cmp(self.values.text(*other)));
            names.dedup();
            for name in names.into_iter().take(MOST_NAMED) {
                let found = self.attribute(object, name);
                all = self.values.union(all, found);
            }
        }
        all
    }

    /// What this argument gives where another thread calls it, with those that follow.
    fn offloaded(&mut self, arguments: &Args, place: usize) -> Option<SetId> {
        let callee = *arguments.positional.get(place)?;
        let positional = arguments.positional[place + 1..].iter().copied().collect();
        let args = self.values.new_args(Args { positional, ..arguments.clone() });
        Some(self.step_set(callee, Step::Call(args)))
    }

    /// A future outside the program that gives this.
    fn future(&mut self, path: &str, given: SetId) -> SetId {
        let outside = self.external(path);
        if given == EMPTY {
            return outside;
        }
        let held = self.single(Value::Holding(given));
        self.values.union(outside, held)
    }

    fn keyword(&self, arguments: &Args, name: &str) -> Option<SetId> {
        let name = self.values.known_symbol(name)?;
        arguments.keywords.iter().find(|(known, _)| *known == name).map(|(_, set)| *set)
    }

    /// What a field has unless the constructor is told otherwise.
    fn field_default(&mut self, arguments: &Args) -> SetId {
        if let Some(default) = self.keyword(arguments, "default") {
            return default;
        }
        match self.keyword(arguments, "default_factory").or_else(|| self.keyword(arguments, "factory")) {
            Some(factory) => self.step_set(factory, Step::Call(NO_ARGS)),
            None => EMPTY,
        }
    }
}

/// Methods whose names have one beginning.
const MOST_NAMED: usize = 24;
