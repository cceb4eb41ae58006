//! The speed that rmux promises, measured beside its peers in one run against one sshd, with one
//! line a promise at the end. Fails where a limit is missed.
//!
//! Words behind `--` pick sections by name: `exec`, `beside`, `delay`, `cold`, `down`, `up`. Without
//! `--bench`, as in `cargo test --benches`, each section is run once, small, and nothing is judged.

use std::process::ExitCode;
use std::time::Duration;

use rmux_benches::bare::Bare;
use rmux_benches::measure::{Plan, Samples, in_turns};
use rmux_benches::ours::{Company, Ours};
use rmux_benches::stock::{self, Cipher, Stock};
use rmux_benches::verdict::{Limit, Verdict};
use rmux_benches::{COUNT, NOTHING, SINK, source};
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;
use tokio::runtime::Runtime;

/// How much goes through one channel in one sample.
const STREAM: u64 = 1 << 30;
/// How much of it is sent to see that all of it arrives.
const PROBE: u64 = 8 << 20;
/// How often the sections that cannot take turns sample by sample do so.
const BLOCKS: usize = 4;
const MIB: f64 = (1 << 20) as f64;

/// How much is measured.
struct Scale {
    delay_rounds: usize,
    exec_rounds: usize,
    beside_rounds: usize,
    stream_rounds: usize,
    cold_rounds: usize,
    stream: u64,
    judged: bool,
}

const WHOLE: Scale = Scale {
    delay_rounds: 15,
    exec_rounds: 400,
    beside_rounds: 1000,
    stream_rounds: 11,
    cold_rounds: 7,
    stream: STREAM,
    judged: true,
};

const SMALL: Scale = Scale {
    delay_rounds: 1,
    exec_rounds: 3,
    beside_rounds: 3,
    stream_rounds: 1,
    cold_rounds: 1,
    stream: 4 << 20,
    judged: false,
};

impl Scale {
    fn stream_plan(&self) -> Plan {
        Plan {
            warm_up: 1,
            rounds: self.stream_rounds,
            pause: Duration::from_millis(100),
        }
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let scale = if args.iter().any(|arg| arg == "--bench") {
        &WHOLE
    } else {
        &SMALL
    };
    let words: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |section: &str| words.is_empty() || words.iter().any(|w| section.contains(*w));

    let sshd = Sshd::start();
    let runtime = Runtime::new().expect("a runtime");
    println!("{}", weather());
    let mut verdicts = Vec::new();
    runtime.block_on(async {
        if wanted("exec") {
            exec(&sshd, scale, &mut verdicts).await;
        }
        if wanted("beside") {
            beside(&sshd, scale, &mut verdicts).await;
        }
        if wanted("delay") {
            delay(&sshd, scale, &mut verdicts).await;
        }
        if wanted("cold") {
            cold(&sshd, scale, &mut verdicts).await;
        }
        if wanted("down") {
            down(&sshd, scale, &mut verdicts).await;
        }
        if wanted("up") {
            up(&sshd, scale, &mut verdicts).await;
        }
    });
    println!("{}\n", weather());
    for verdict in &mut verdicts {
        if !scale.judged {
            verdict.limit = Limit::None;
        }
        println!("{verdict}");
    }
    if verdicts.iter().any(|verdict| !verdict.kept()) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A command over a ready session on loopback.
async fn exec(sshd: &Sshd, scale: &Scale, verdicts: &mut Vec<Verdict>) {
    let ours = Ours::connect(sshd, sshd.addr()).await;
    let bare = Bare::connect(sshd, sshd.addr()).await;
    let plan = Plan {
        warm_up: scale.exec_rounds / 10,
        rounds: scale.exec_rounds,
        pause: Duration::from_millis(3),
    };
    let [ours_took, bare_took] = in_turns(plan, async |peer| match peer {
        0 => assert!(ours.exec(NOTHING).await.status.success()),
        _ => assert_eq!(bare.exec(NOTHING).await.status, Some(0)),
    })
    .await;
    verdicts.push(Verdict {
        what: "exec on loopback, rmux / bare".into(),
        value: ours_took.median() / bare_took.median(),
        unit: "x",
        limit: Limit::AtMost(1.15),
        detail: format!(
            "p50 of {}: {:.2} ms, bare {:.2} ms",
            ours_took.count(),
            ours_took.median() * 1e3,
            bare_took.median() * 1e3
        ),
    });
    ours.close().await;
    bare.close().await;
}

/// A command over a session in which another channel is stalled or busy. In blocks that take turns,
/// since a busy one takes its share of the machine from all others.
async fn beside(sshd: &Sshd, scale: &Scale, verdicts: &mut Vec<Verdict>) {
    let plan = Plan {
        warm_up: 5,
        rounds: scale.beside_rounds.div_ceil(BLOCKS),
        pause: Duration::from_millis(1),
    };
    let companies = [
        (Company::None, "nothing", Limit::None),
        (Company::Stalled, "a stalled channel", Limit::AtMost(1.5)),
        (Company::Busy, "a busy channel", Limit::AtMost(3.0)),
        (
            Company::Bulk,
            "a busy channel said to be bulk",
            Limit::AtMost(3.0),
        ),
    ];
    let mut took = companies.map(|_| Samples::default());
    for _ in 0..BLOCKS {
        for (samples, (company, ..)) in took.iter_mut().zip(companies) {
            let ours = Ours::connect(sshd, sshd.addr()).await;
            let company = ours.in_company(company).await;
            let [block] = in_turns(plan, async |_| {
                assert!(ours.exec(NOTHING).await.status.success());
            })
            .await;
            samples.append(block);
            drop(company);
            ours.close().await;
        }
    }
    let idle = took[0].p99();
    for (samples, (_, what, limit)) in took.iter().zip(companies).skip(1) {
        verdicts.push(Verdict {
            what: format!("p99 of exec beside {what}, / idle"),
            value: samples.p99() / idle,
            unit: "x",
            limit,
            detail: format!(
                "of {}: p99 {:.2} ms, idle {:.2} ms; p50 {:.2} ms, idle {:.2} ms",
                samples.count(),
                samples.p99() * 1e3,
                idle * 1e3,
                samples.median() * 1e3,
                took[0].median() * 1e3
            ),
        });
    }
}

/// A command over a ready session, one after the other, at a distance.
async fn delay(sshd: &Sshd, scale: &Scale, verdicts: &mut Vec<Verdict>) {
    for (milliseconds, limit) in [
        (0, Limit::None),
        (20, Limit::None),
        (100, Limit::AtMost(1.15)),
    ] {
        let round_trip = Duration::from_millis(milliseconds);
        let relay = Relay::to(sshd.addr()).start().await;
        let ours = Ours::connect(sshd, relay.addr()).await;
        let bare = Bare::connect(sshd, relay.addr()).await;
        let stock =
            tokio::task::block_in_place(|| Stock::connect(sshd, relay.addr(), Cipher::Same));
        relay.set_delay(round_trip / 2);
        let plan = Plan {
            warm_up: 2,
            rounds: scale.delay_rounds,
            pause: Duration::ZERO,
        };
        // Not in turns: each command comes right after the one before it, so that a session that
        // was ready for the first one only would show.
        let [ours_took] = in_turns(plan, async |_| {
            assert!(ours.exec(NOTHING).await.status.success());
        })
        .await;
        let [bare_took] = in_turns(plan, async |_| {
            assert_eq!(bare.exec(NOTHING).await.status, Some(0));
        })
        .await;
        let [stock_took] = in_turns(plan, async |_| {
            tokio::task::block_in_place(|| stock.exec(NOTHING));
        })
        .await;
        let (value, unit) = if milliseconds == 0 {
            (ours_took.median() * 1e3, "ms")
        } else {
            (trips(ours_took.median(), round_trip), "round trips")
        };
        verdicts.push(Verdict {
            what: format!("exec over a ready session, {milliseconds} ms"),
            value,
            unit,
            limit,
            detail: format!(
                "p50 of {}: {}; bare {:.1} ms, ssh over its master {:.1} ms",
                ours_took.count(),
                spread(&ours_took),
                bare_took.median() * 1e3,
                stock_took.median() * 1e3
            ),
        });
        ours.close().await;
        bare.close().await;
        tokio::task::block_in_place(|| drop(stock));
    }
}

/// From nothing to the first output, at 100 ms.
async fn cold(sshd: &Sshd, scale: &Scale, verdicts: &mut Vec<Verdict>) {
    let round_trip = Duration::from_millis(100);
    let relay = Relay::to(sshd.addr()).delay(round_trip / 2).start().await;
    let plan = Plan {
        warm_up: 1,
        rounds: scale.cold_rounds,
        pause: Duration::from_millis(50),
    };
    let line = "echo up";
    let took: [Samples; 3] = in_turns(plan, async |peer| match peer {
        0 => {
            let ours = Ours::connect(sshd, relay.addr()).await;
            assert_eq!(ours.first_output(line).await, "up\n");
            // Behind the sample's end the session is dropped, which waits for nothing.
        }
        1 => {
            let bare = Bare::connect(sshd, relay.addr()).await;
            assert_eq!(bare.first_output(line).await, "up\n");
        }
        _ => tokio::task::block_in_place(|| stock::cold_first_output(sshd, relay.addr(), line)),
    })
    .await;
    let [ours, bare, stock] = took
        .each_ref()
        .map(|samples| trips(samples.median(), round_trip));
    verdicts.push(Verdict {
        what: "cold connect to first output, 100 ms".into(),
        value: ours,
        unit: "round trips",
        limit: Limit::None,
        detail: format!(
            // The relay cannot delay the kernel's handshake of TCP, which takes one more.
            "p50 of {}, TCP's handshake left out; bare {bare:.2}, ssh {stock:.2}; goal 6.5",
            took[0].count()
        ),
    });
}

/// Much of one command's output, on loopback.
async fn down(sshd: &Sshd, scale: &Scale, verdicts: &mut Vec<Verdict>) {
    let peers = Peers::connect(sshd).await;
    let length = scale.stream;
    let line = source(length);
    let took = in_turns(scale.stream_plan(), async |peer| match peer {
        0 => assert_eq!(peers.ours.download(&line).await, length),
        1 => assert_eq!(peers.bare.download(&line).await, length),
        2 => tokio::task::block_in_place(|| peers.stock.exec(&line)),
        _ => tokio::task::block_in_place(|| peers.as_it_comes.exec(&line)),
    })
    .await;
    verdicts.extend(rates("down", length, &took));
    peers.close().await;
}

/// Much input for one command, on loopback.
async fn up(sshd: &Sshd, scale: &Scale, verdicts: &mut Vec<Verdict>) {
    let peers = Peers::connect(sshd).await;
    let Peers {
        ours,
        bare,
        stock,
        as_it_comes,
    } = &peers;
    let counted = |stdout: Vec<u8>| String::from_utf8_lossy(&stdout).trim().parse().ok();
    assert_eq!(counted(ours.upload(COUNT, PROBE).await), Some(PROBE));
    assert_eq!(counted(bare.upload(COUNT, PROBE).await), Some(PROBE));
    let length = scale.stream;
    let took = in_turns(scale.stream_plan(), async |peer| match peer {
        0 => drop(ours.upload(SINK, length).await),
        1 => drop(bare.upload(SINK, length).await),
        2 => tokio::task::block_in_place(|| stock.upload(SINK, length)),
        _ => tokio::task::block_in_place(|| as_it_comes.upload(SINK, length)),
    })
    .await;
    verdicts.extend(rates("up", length, &took));
    peers.close().await;
}

/// The peers of the streams, each connected without delay.
struct Peers {
    ours: Ours,
    bare: Bare,
    stock: Stock,
    /// With the cipher that it takes by itself.
    as_it_comes: Stock,
}

impl Peers {
    async fn connect(sshd: &Sshd) -> Self {
        let stock =
            |cipher| tokio::task::block_in_place(|| Stock::connect(sshd, sshd.addr(), cipher));
        Self {
            ours: Ours::connect(sshd, sshd.addr()).await,
            bare: Bare::connect(sshd, sshd.addr()).await,
            stock: stock(Cipher::Same),
            as_it_comes: stock(Cipher::Own),
        }
    }

    async fn close(self) {
        self.ours.close().await;
        self.bare.close().await;
        tokio::task::block_in_place(|| drop((self.stock, self.as_it_comes)));
    }
}

fn rates(way: &str, length: u64, took: &[Samples; 4]) -> [Verdict; 2] {
    let mib = length as f64 / MIB;
    let [ours, bare, stock, as_it_comes] = took;
    let rate = |samples: &Samples| mib / samples.median();
    let against = |peer: &Samples, name: &str, limit| Verdict {
        what: format!("{mib:.0} MiB {way} one channel, rmux / {name}"),
        // What took longer is slower.
        value: peer.ratio(ours),
        unit: "x",
        limit: Limit::AtLeast(limit),
        detail: format!(
            "p50 of {} rounds; {:.0} MiB/s, bare {:.0}, ssh {:.0}, as it comes {:.0}",
            ours.count(),
            rate(ours),
            rate(bare),
            rate(stock),
            rate(as_it_comes)
        ),
    };
    [
        against(bare, "bare", 0.9),
        against(as_it_comes, "ssh as it comes", 2.0),
    ]
}

fn trips(seconds: f64, round_trip: Duration) -> f64 {
    seconds / round_trip.as_secs_f64()
}

fn spread(samples: &Samples) -> String {
    let (least, most) = samples.range();
    format!(
        "{:.1} ms, {:.1} to {:.1}",
        samples.median() * 1e3,
        least * 1e3,
        most * 1e3
    )
}

/// What the machine is, and what else it does.
fn weather() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg");
    let load = load.as_deref().unwrap_or("unknown").trim();
    format!("{cores} cores, load {load}")
}
