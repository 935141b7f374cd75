//! What a token may do. `read`, `write` and `admin` are levels, each with those before it; `bridge` stands alone.

use crate::error::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Read,
    Write,
    /// Administers every room that its owner may see.
    Admin,
    /// Polls the native bridge API.
    Bridge,
}

/// The scopes of one token, as they were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scope {
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Admin, Self::Bridge];

    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::Bridge => "bridge",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Scopes {
    /// At least one, each of them known.
    pub fn from_names(names: &[String]) -> Result<Self> {
        let one = |name: &String| {
            Scope::from_name(name.trim()).ok_or_else(|| {
                Error::Invalid(format!(
                    "'{}' is no scope; read, write, admin and bridge are",
                    name.trim().escape_debug()
                ))
            })
        };
        let bits = names.iter().try_fold(0, |bits, name| one(name).map(|scope| bits | scope.bit()))?;
        if bits == 0 {
            return Err(Error::Invalid("a token needs a scope: read, write, admin or bridge".into()));
        }
        Ok(Self(bits))
    }

    /// What the store has. A scope of another version opens nothing.
    pub fn parse(stored: &str) -> Self {
        Self(stored.split(',').filter_map(Scope::from_name).fold(0, |bits, scope| bits | scope.bit()))
    }

    pub fn names(self) -> Vec<&'static str> {
        Scope::ALL.into_iter().filter(|scope| self.0 & scope.bit() != 0).map(Scope::name).collect()
    }

    pub fn allow(self, scope: Scope) -> bool {
        let sufficient: &[Scope] = match scope {
            Scope::Read => &[Scope::Read, Scope::Write, Scope::Admin],
            Scope::Write => &[Scope::Write, Scope::Admin],
            Scope::Admin => &[Scope::Admin],
            Scope::Bridge => &[Scope::Bridge],
        };
        sufficient.iter().any(|scope| self.0 & scope.bit() != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_include_those_below_and_bridge_stands_alone() {
        let allowed = |stored: &str| {
            let scopes = Scopes::parse(stored);
            Scope::ALL.into_iter().filter(|scope| scopes.allow(*scope)).map(Scope::name).collect::<Vec<_>>()
        };
        assert_eq!(allowed("read"), ["read"]);
        assert_eq!(allowed("write"), ["read", "write"]);
        assert_eq!(allowed("admin"), ["read", "write", "admin"]);
        assert_eq!(allowed("bridge"), ["bridge"]);
        assert_eq!(allowed("bridge,read"), ["read", "bridge"]);
        assert!(allowed("").is_empty() && allowed("root").is_empty());
    }

    #[test]
    fn names_are_checked_and_put_in_order() {
        let names =
            |names: &[&str]| Scopes::from_names(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["bridge", " read", "read"]).unwrap().names(), ["read", "bridge"]);
        assert!(names(&[]).is_err() && names(&["read", "Write"]).is_err() && names(&[""]).is_err());
    }
}
