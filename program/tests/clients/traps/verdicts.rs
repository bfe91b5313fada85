//! The expected behaviour of the tutorial's data store in each trap, from `verdicts.txt`.

const VERDICTS: &str = include_str!("verdicts.txt");

/// The behaviour of the store in one trap.
pub struct Verdict {
    /// `09`.
    pub number: String,
    /// The summary, as in the README.
    pub word: String,
    /// The Service by which it finds its peers.
    pub service: String,
    /// The port that it expects them to listen on.
    pub port: u16,
    /// The pod that it runs in, if that matters.
    pub asker: Option<String>,
    /// When it is asked; empty if the trap does not concern it.
    pub moments: Vec<Moment>,
}

/// A moment of a scenario, and the store's answer.
pub struct Moment {
    /// The preceding step, as `play` prints it.
    pub at: String,
    pub answer: String,
}

/// All verdicts, by number.
pub fn all() -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = Vec::new();
    for line in VERDICTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some(line) = line.strip_prefix("   ") else {
            let (number, word) = line.split_once(' ').expect("a number and a verdict");
            verdicts.push(Verdict {
                number: number.into(),
                word: word.into(),
                service: "db".into(),
                port: 7000,
                asker: None,
                moments: Vec::new(),
            });
            continue;
        };
        let verdict = verdicts.last_mut().expect("a number comes first");
        match line.split_once(' ').expect("a word and what it is about") {
            ("service", service) => verdict.service = service.into(),
            ("port", port) => verdict.port = port.parse().expect("a port"),
            ("in", pod) => verdict.asker = Some(pod.into()),
            ("at", moment) => {
                let (at, expected) = moment.split_once(" => ").expect("a moment and an answer");
                verdict.moments.push(Moment { at: at.into(), answer: expected.into() });
            }
            _ => panic!("{line:?} is not understood"),
        }
    }
    verdicts
}
