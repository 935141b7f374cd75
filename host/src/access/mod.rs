//! Access tokens in the running host: which digests are known, whom they belong to and what they open. Kept in memory beside the store's
//! rows, so that a request costs one hash and no query.

mod scopes;
mod tickets;

pub use scopes::{Scope, Scopes};
pub use tickets::LIFETIME as TICKET_LIFETIME;

use crate::auth::{digest, random_hex};
use crate::error::Result;
use crate::store::Store;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use subtle::ConstantTimeEq;
use tickets::Tickets;
use tokio::sync::watch;

/// Tokens that a store takes; all of them are in memory.
pub const MOST_TOKENS: u32 = 10_000;
/// Rows that are read at once.
const PAGE: u32 = 1000;

type Digest = [u8; 32];

/// What somebody proved to be.
#[derive(Debug, Clone)]
pub enum Grant {
    /// By the operator's token: may do everything.
    Operator,
    Token(Arc<AccessToken>),
}

/// An access token that is known.
#[derive(Debug)]
pub struct AccessToken {
    /// The identity that it gives.
    pub name: String,
    pub scopes: Scopes,
    revoked: watch::Sender<bool>,
}

/// See the module's text.
pub struct Access {
    operator: Digest,
    tokens: RwLock<HashMap<Digest, Arc<AccessToken>>>,
    tickets: Mutex<Tickets>,
}

impl Grant {
    pub fn allows(&self, scope: Scope) -> bool {
        match self {
            Self::Operator => true,
            Self::Token(token) => token.scopes.allow(scope),
        }
    }

    fn is_revoked(&self) -> bool {
        match self {
            Self::Operator => false,
            Self::Token(token) => *token.revoked.borrow(),
        }
    }

    /// Resolves once the token is revoked, and never for the operator's.
    pub fn revocation(&self) -> impl Future<Output = ()> + Send + 'static {
        let revoked = match self {
            Self::Operator => None,
            Self::Token(token) => Some(token.revoked.subscribe()),
        };
        async move {
            match revoked {
                // An error means that the last to know the token has dropped it, which is after its revocation.
                Some(mut revoked) => drop(revoked.wait_for(|revoked| *revoked).await),
                None => std::future::pending().await,
            }
        }
    }
}

impl Access {
    /// With all tokens of the store.
    pub async fn load(store: &Store, admin_token: &str) -> Result<Self> {
        let access =
            Self { operator: digest(admin_token), tokens: RwLock::default(), tickets: Mutex::new(Tickets::default()) };
        let mut after = String::new();
        loop {
            let rows = store.read(move |read| read.tokens(&after, PAGE)).await?;
            let Some(last) = rows.last() else { return Ok(access) };
            after = last.name.clone();
            rows.iter().for_each(|row| access.admit(row.digest, &row.name, Scopes::parse(&row.scopes)));
        }
    }

    /// Whose token this is.
    pub fn grant(&self, token: &str) -> Option<Grant> {
        let given = digest(token);
        if bool::from(given.ct_eq(&self.operator)) {
            return Some(Grant::Operator);
        }
        // Digests of unguessable texts: how long a look among them takes tells nothing about any of those.
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        tokens.get(&given).cloned().map(Grant::Token)
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Before its row is written, so that a revocation, which comes after, meets it here.
    pub fn admit(&self, digest: Digest, name: &str, scopes: Scopes) {
        let token = AccessToken { name: name.into(), scopes, revoked: watch::Sender::new(false) };
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).insert(digest, Arc::new(token));
    }

    /// Its requests are refused from here on, and its open streams end.
    pub fn revoke(&self, digest: &Digest) {
        let token = self.tokens.write().unwrap_or_else(PoisonError::into_inner).remove(digest);
        if let Some(token) = token {
            token.revoked.send_replace(true);
        }
    }

    /// A ticket that stands for the token once and for a short time.
    pub fn issue_ticket(&self, grant: Grant) -> String {
        let ticket = random_hex::<32>("tkt_");
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).put(digest(&ticket), grant);
        ticket
    }

    /// Uses the ticket up.
    pub fn redeem(&self, ticket: &str) -> Option<Grant> {
        let grant = self.tickets.lock().unwrap_or_else(PoisonError::into_inner).take(&digest(ticket))?;
        (!grant.is_revoked()).then_some(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access { operator: digest("boss"), tokens: RwLock::default(), tickets: Mutex::new(Tickets::default()) }
    }

    #[tokio::test]
    async fn revoked_token_is_unknown_at_once_and_tells_those_who_wait() {
        let access = access();
        access.admit(digest("t"), "ada", Scopes::parse("write"));
        let grant = access.grant("t").expect("it is known");
        assert!(grant.allows(Scope::Read) && !grant.allows(Scope::Admin) && access.grant("T").is_none());
        let (waiting, ticket) = (grant.revocation(), access.issue_ticket(grant));
        access.revoke(&digest("t"));
        waiting.await;
        assert!(access.grant("t").is_none() && access.redeem(&ticket).is_none());
    }

    #[test]
    fn operator_is_known_and_may_do_everything() {
        let access = access();
        assert!(matches!(access.grant("boss"), Some(Grant::Operator)));
        assert!(
            [Scope::Read, Scope::Write, Scope::Admin, Scope::Bridge].iter().all(|scope| Grant::Operator.allows(*scope))
        );
        assert!(access.grant("").is_none());
    }

    #[test]
    fn ticket_counts_once() {
        let access = access();
        let ticket = access.issue_ticket(Grant::Operator);
        assert!(access.redeem(&ticket).is_some() && access.redeem(&ticket).is_none() && access.redeem("").is_none());
    }
}
