//! A list that mostly has one item, which then needs no room of its own.

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::{Debug, Formatter};
use std::marker::PhantomData;
use std::ops::Deref;

/// A list. That of one item is always [`Few::One`].
#[derive(Clone, PartialEq)]
pub(crate) enum Few<T> {
    One([T; 1]),
    Many(Vec<T>),
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }
}

impl<T: Copy> Few<T> {
    pub(crate) fn push(&mut self, item: T) {
        match self {
            Self::Many(many) if many.is_empty() => *self = Self::One([item]),
            Self::Many(many) => many.push(item),
            Self::One([one]) => *self = Self::Many(vec![*one, item]),
        }
    }
}

impl<T: Copy> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T: Copy> From<&[T]> for Few<T> {
    fn from(items: &[T]) -> Self {
        match items {
            [one] => Self::One([*one]),
            many => Self::Many(many.into()),
        }
    }
}

impl<T: Debug> Debug for Few<T> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        self.deref().fmt(formatter)
    }
}

impl<T: Serialize> Serialize for Few<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.deref().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = Few<T>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Few<T>, A::Error> {
        let Some(first) = items.next_element()? else { return Ok(Few::Many(Vec::new())) };
        let Some(second) = items.next_element()? else { return Ok(Few::One([first])) };
        let mut many = vec![first, second];
        while let Some(next) = items.next_element()? {
            many.push(next);
        }
        Ok(Few::Many(many))
    }
}
