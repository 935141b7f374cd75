//! Merges and splits in whatever order, against a model: a tree of persons, and for each profile the person at its root.

use super::*;
use crate::ids::UserId;
use proptest::prelude::*;

const PEOPLE: usize = 6;

/// What an operator does; persons and profiles by their numbers.
#[derive(Debug, Clone, Copy)]
enum Step {
    Merge(usize, usize),
    Split(usize),
    SetApart(usize, usize),
}

/// Whose each profile was at first, and into whom each person was merged.
struct Model {
    home: Vec<usize>,
    parent: Vec<Option<usize>>,
}

impl Model {
    fn root(&self, person: usize) -> usize {
        self.parent[person].map_or(person, |parent| self.root(parent))
    }

    fn holders(&self) -> Vec<usize> {
        self.home.iter().map(|person| self.root(*person)).collect()
    }

    fn children(&self, person: usize) -> Vec<usize> {
        (0..self.parent.len()).filter(|child| self.parent[*child] == Some(person)).collect()
    }

    /// Whether it can be done; then it is.
    fn take(&mut self, step: Step) -> bool {
        match step {
            Step::Merge(from, into) => {
                let possible = from != into && self.parent[from].is_none() && self.parent[into].is_none();
                if possible {
                    self.parent[from] = Some(into);
                }
                possible
            }
            Step::Split(person) if self.parent[person].is_some() => {
                self.parent[person] = None;
                true
            }
            Step::Split(person) => {
                let children = self.children(person);
                children.iter().for_each(|child| self.parent[*child] = None);
                !children.is_empty()
            }
            Step::SetApart(person, profile) => {
                let (root, home) = (self.root(person), self.home[profile]);
                if self.root(home) != root {
                    return false;
                }
                if home != root {
                    let parent = self.parent[home].take();
                    self.children(home).iter().for_each(|child| self.parent[*child] = parent);
                    return true;
                }
                let others = self.holders().iter().filter(|holder| **holder == root).count() > 1;
                if others {
                    self.home[profile] = self.parent.len();
                    self.parent.push(None);
                }
                others
            }
        }
    }
}

/// A store with its persons, who come to be more.
struct World {
    store: Store,
    people: Vec<UserId>,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arcuate.db");
        let options = Options { path, full_durability: false, readers: 1, existing: false };
        let store = Store::open(&options, Arc::default()).unwrap().0;
        for profile in 0..PEOPLE {
            let arrival = Arrival {
                instance: "chat".into(),
                platform: "chat".into(),
                platform_user_id: profile.to_string(),
                username: profile.to_string(),
                display_name: profile.to_string(),
                conversation: profile.to_string(),
                external_id: None,
                content: "hello".into(),
                metadata: serde_json::Map::new(),
                ip_address: None,
            };
            store.write(move |tx| tx.arrive(&arrival, &Turn::Nobody)).await.unwrap();
        }
        let mut world = Self { store, people: Vec::new(), _folder: folder };
        world.people = world.holders().await;
        world
    }

    async fn holders(&self) -> Vec<UserId> {
        let all =
            |read: &Read<'_>| (0..PEOPLE).map(|it| read.user_of("chat", &it.to_string())).collect::<Result<Vec<_>>>();
        self.store.read(all).await.unwrap().into_iter().map(|user| user.unwrap().id).collect()
    }

    async fn take(&mut self, step: Step) -> bool {
        let people = self.people.clone();
        let done = self.store.write(move |tx| match step {
            Step::Merge(from, into) => tx.merge_people(people[from], people[into]).map(|moved| vec![moved]),
            Step::Split(person) => tx.split_person(people[person], &Part::Merged),
            Step::SetApart(person, profile) => {
                tx.split_person(people[person], &Part::Profile("chat".into(), profile.to_string()))
            }
        });
        match done.await {
            Ok(moved) => {
                let new: Vec<_> = moved.iter().map(|moved| moved.to).filter(|to| !self.people.contains(to)).collect();
                self.people.extend(new);
                true
            }
            Err(Error::Conflict(_) | Error::Invalid(_)) => false,
            Err(error) => panic!("{step:?}: {error}"),
        }
    }

    async fn check(&self, model: &Model) {
        let expected: Vec<_> = model.holders().into_iter().map(|person| self.people[person]).collect();
        assert_eq!(self.holders().await, expected);
        for (person, id) in self.people.iter().copied().enumerate() {
            let found = self.store.read(move |read| read.person(id)).await.unwrap().unwrap();
            assert_eq!(found.user.id, self.people[model.root(person)], "the id leads there");
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..PEOPLE, 0..PEOPLE).prop_map(|(from, into)| Step::Merge(from, into)),
        3 => (0..PEOPLE).prop_map(Step::Split),
        1 => (0..PEOPLE, 0..PEOPLE).prop_map(|(person, profile)| Step::SetApart(person, profile)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn merges_and_splits_in_any_order_give_everybody_what_is_theirs(steps in prop::collection::vec(step(), 1..24)) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let (mut world, persons) = (World::new().await, (0..PEOPLE).collect());
            let mut model = Model { home: persons, parent: vec![None; PEOPLE] };
            for step in steps {
                assert_eq!(world.take(step).await, model.take(step), "{step:?}");
                world.check(&model).await;
            }
        });
    }
}

#[tokio::test]
async fn split_undoes_a_merge_with_all_that_was_merged_before() {
    let mut world = World::new().await;
    let [a, b, c] = [0, 1, 2].map(|person| world.people[person]);
    assert!(world.take(Step::Merge(0, 1)).await);
    let before = world.holders().await;
    assert!(world.take(Step::Merge(1, 2)).await);
    assert_eq!(world.holders().await[..3], [c, c, c]);
    assert!(world.take(Step::Split(1)).await);
    assert_eq!((world.holders().await, &before[..3]), (before.clone(), &[b, b, c][..]), "as it was before");
    assert!(world.take(Step::Split(0)).await);
    assert_eq!(world.holders().await[..3], [a, b, c]);
}
