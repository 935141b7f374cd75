//! What a commit tells the queue's workers: jobs that begin, and turns that ended without their worker.

use super::jobs::Claimed;
use crate::ids::JobId;
use tokio::sync::mpsc;

/// A turn whose end is written although its worker is still at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedTurn {
    pub job: JobId,
    pub claim: i64,
}

/// What the workers learn next.
#[derive(Debug)]
pub enum Word {
    Begin(Box<Claimed>),
    End(EndedTurn),
}

/// The store's end of the wire.
pub(super) struct Workers {
    begun: mpsc::UnboundedSender<Claimed>,
    ended: mpsc::UnboundedSender<EndedTurn>,
}

/// The workers' end. At most as many wait in it as there are slots.
pub struct Handed {
    begun: mpsc::UnboundedReceiver<Claimed>,
    ended: mpsc::UnboundedReceiver<EndedTurn>,
}

pub(super) fn wire() -> (Workers, Handed) {
    let (begin, begun) = mpsc::unbounded_channel();
    let (end, ended) = mpsc::unbounded_channel();
    (Workers { begun: begin, ended: end }, Handed { begun, ended })
}

impl Workers {
    /// Without a queue (the command line on a store at rest) nobody is there to take it, and no slot is open either.
    pub(super) fn tell(&self, begun: Vec<Claimed>, ended: Vec<EndedTurn>) {
        begun.into_iter().for_each(|claimed| drop(self.begun.send(claimed)));
        ended.into_iter().for_each(|turn| drop(self.ended.send(turn)));
    }
}

impl Handed {
    /// Begins come first, so that no turn ends before its worker has it. None: the store is closed.
    pub async fn word(&mut self) -> Option<Word> {
        tokio::select! {
            biased;
            begun = self.begun.recv() => begun.map(|claimed| Word::Begin(Box::new(claimed))),
            Some(ended) = self.ended.recv() => Some(Word::End(ended)),
        }
    }

    /// The next job that begins.
    pub async fn next(&mut self) -> Option<Claimed> {
        self.begun.recv().await
    }

    #[cfg(test)]
    pub(super) fn at_hand(&mut self) -> Option<Claimed> {
        self.begun.try_recv().ok()
    }
}
