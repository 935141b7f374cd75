//! The figures as a table, and as the page `docs/BENCHMARKS.md`.

use crate::Result;
use crate::machine;
use crate::plan::Plan;
use crate::series::{Series, Unit};
use std::fmt::Write as _;
use std::time::Duration;

/// One line of the table.
#[derive(Debug, Default)]
pub struct Row {
    work: String,
    figures: Vec<String>,
    beside: Vec<String>,
    goals: Vec<(String, bool)>,
}

impl Row {
    pub fn new(work: impl Into<String>) -> Self {
        Self { work: work.into(), ..Self::default() }
    }

    /// A figure, with its name where the unit does not say enough.
    #[must_use]
    pub fn figure(mut self, name: &str, series: &Series, unit: Unit) -> Self {
        self.figures.push(format!("{name} {}", series.shown(unit)).trim().to_owned());
        self
    }

    /// A figure in words.
    #[must_use]
    pub fn said(mut self, text: String) -> Self {
        self.figures.push(text);
        self
    }

    /// What it is compared with: a share of a baseline.
    #[must_use]
    pub fn beside(mut self, share: &Series, of: &str, base: &Series, unit: Unit) -> Self {
        self.beside.push(format!("{} of {of}, {}", share.shown(Unit::Fraction), base.shown(unit)));
        self
    }

    /// What is wanted, and whether it is so.
    #[must_use]
    pub fn wanted(mut self, text: &str, is_met: bool) -> Self {
        self.goals.push((text.into(), is_met));
        self
    }

    fn line(&self) -> String {
        let goal = |(text, is_met): &(String, bool)| if *is_met { text.clone() } else { format!("**missed:** {text}") };
        let goals: Vec<String> = self.goals.iter().map(goal).collect();
        let cell = |texts: &[String]| if texts.is_empty() { "–".to_owned() } else { texts.join("; ") };
        format!("| {} | {} | {} | {} |", self.work, cell(&self.figures), cell(&self.beside), cell(&goals))
    }
}

/// All rows, with what they were measured on.
#[derive(Debug)]
pub struct Report {
    pub plan: Plan,
    pub rows: Vec<Row>,
    pub machine: Vec<String>,
    pub took: Duration,
}

impl Report {
    pub fn table(&self) -> String {
        let mut text = String::from("| work | measured | beside the baseline | wanted |\n|---|---|---|---|\n");
        for row in &self.rows {
            let _ = writeln!(text, "{}", row.line());
        }
        text
    }

    pub fn document(&self) -> Result<String> {
        let machine: String = self.machine.iter().map(|line| format!("- {line}\n")).collect();
        let (date, table, plan) = (machine::date(), self.table(), &self.plan);
        let (runs, minutes) = (plan.runs, self.took.as_secs_f64() / 60.0);
        let missed = self.rows.iter().flat_map(|row| &row.goals).filter(|(_, is_met)| !is_met).count();
        let verdict = match missed {
            0 => "All wanted figures were reached.".to_owned(),
            1 => "One wanted figure was missed; it is marked.".to_owned(),
            missed => format!("{missed} wanted figures were missed; they are marked."),
        };
        Ok(format!(
            "# Measurements\n\nWritten by `benches/run.sh` on {date}. {verdict}\n\n{table}\n{HOW}\nThis pass: median of {runs} runs, \
             lowest and highest in brackets; {minutes:.1} minutes in all.\n\n{WHY}\n## Measured on\n\n{machine}\n{REPEAT}"
        ))
    }
}

const HOW: &str = "\
## How to read it

A figure by itself says little: machines differ, and this one is shared. What counts is the share of a **baseline** that was measured in
turns with it, in the same minute:

- `raw`: one thread that writes the rows of a posted message into the same tables with the same settings, N messages per transaction, the
  search index at its end. What SQLite and the disk give, without a network, JSON or anybody waiting.
- `echo`: an axum server that reads a posted message as JSON and gives it back, without a store.
- `fanout`: an axum server that sends each posted message as a server-sent event to everybody, from one broadcast channel of tokio's that
  is 1024 deep, without a store. Who is too slow loses messages.

The host is the release build in its own process with its default plugins, on a store with `durability = \"full\"` (each answer is on disk)
and 100 rooms, its limits off. Messages have 100 bytes. The load comes from another process over keep-alive connections; c is their number.
Both share the machine's cores, as do the disk's interrupts. The stores lie in `target/`, so on the disk of the repository: on a tmpfs an
fsync would cost nothing.

*Visitor → answer readable* goes through the native bridge API: a visitor posts, the message and its turn are committed, the agent
(`echo`) answers, the answer and the end of the turn are committed, and the visitor, who asks again and again, gets it. Its times count from
the moment when the visitor was due (open loop), so that a stall is not left out. *Durable turns* count from the first post until nothing
waits in the queue. *Job committed → worker has it* begins before the commit, which costs no fsync in this one measurement.
";

/// What profiles of the rows that are missed on usual machines show.
const WHY: &str = "\
## Where the time goes

What `perf record -g` shows of the host during the measurements that miss what was wanted on a machine with two cores:

- **GET 50 messages.** The baseline is ten microseconds of server per answer, and it gives as many bytes as a page has nearly as fast, so the
  bytes are not it. Half of a page's time is SQLite: the messages of a room lie between those of all others, so each of the 50 is a search
  through four levels of a tree, most of it in processor caches that the search before has just filled with other pages. A quarter is what
  each request goes through (request id, span, measuring, CORS, compression, allocations), the rest sockets and waking threads. Keeping
  ready pages of busy rooms in memory would skip the first half; each edit, deletion, pin and reaction would have to find and empty them.
- **Search.** The newest 1,000 hits are ranked against each other: two to three microseconds each. A third of that is reading the index and
  the message, a quarter cutting its text into words, the rest decoding, comparing, allocating. Words with fewer hits cost less in
  proportion. Ranking inside the index would read no messages, and would need code of ours inside SQLite's.
- **100 subscribers.** 64 writers post ten thousand messages a second, each on disk before it is shown, and all subscribers together take
  them as fast as they come: it is the writing that bounds it.
- **1,000 subscribers.** From half of the baseline to one and a half times of it, run by run: it depends on how many fall so far behind that
  they read the log, which costs each of them a query where the others share one piece of bytes.
- **POST with one client.** Half of it is what `raw` does: the rows and the commit's fsync. The other half are four hand-overs, from the
  client to the server, to the thread that writes, and both ways back: waking somebody who sleeps costs 20 to 60 µs on a virtual machine.
- **With a million stored.** A post writes into the trees of ids, of senders and of participants at places that are random: more pages
  per commit than an empty store has at all, and more to copy at each checkpoint.
- **The boundary.** Each direction wakes a thread of the other side, as above.
- **Memory.** An idle stream is the touched pages of hyper's two buffers of 8 KB, and 2 to 3 KB of futures. Two thirds of the idle host are
  pages of code: its own, and three plugins, each with its own runtime and TLS.
";

const REPEAT: &str = "\
## How to repeat it

```
benches/run.sh            # all, in under ten minutes; writes this page
benches/run.sh --quick    # about a minute's worth with 100,000 messages in place of a million; writes nothing
benches/run.sh post       # one measurement; --help names them
```
";
