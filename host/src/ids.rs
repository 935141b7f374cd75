//! Ids: UUIDv7 (of a person without an account UUIDv8, made of their name), one type per thing, so that a room's id is never taken for a message's.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, format = "uuid")]
        pub struct $name(Uuid);

        impl $name {
            #[expect(clippy::new_without_default, reason = "each one is another")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            pub fn bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// Of a room.
    RoomId,
    /// Of a message.
    MessageId,
    /// Of an edit of a message.
    EditId,
    /// Of a reaction to a message.
    ReactionId,
    /// Of an uploaded file.
    FileId,
    /// Of a person.
    UserId,
    /// Of a conversation on a platform.
    ConversationId,
    /// Of a job; what goes out carries it as `Idempotency-Key`.
    JobId,
    /// Of an endpoint that events are posted to.
    WebhookId,
    /// Of a hook that messages come in by.
    IncomingWebhookId,
}

impl UserId {
    /// Of somebody who is known by a name alone: the same for the same name, and nobody else's.
    pub fn of_name(name: &str) -> Self {
        let digest = Sha256::digest(format!("name:{name}"));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}
