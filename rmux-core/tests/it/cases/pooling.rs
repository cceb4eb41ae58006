//! The shared cases of a pool, in Rust.

use std::collections::BTreeMap;

use futures_util::future::{join_all, try_join_all};
use rmux_core::{Error, Pool, Session};
use rmux_testkit::cases::pooling::{self, Case, Expect, SERVERS};
use rmux_testkit::sshd::Sshd;

use crate::map::Map;

#[tokio::test]
async fn shared_cases_of_a_pool_hold() {
    let servers = SERVERS.map(|name| (name, Sshd::start()));
    let servers: BTreeMap<&str, Sshd> = servers.into();
    let accepted = || servers.values().map(Sshd::connections_accepted);
    let mut failures = Vec::new();
    let cases = pooling::all();
    for case in &cases {
        let before: Vec<usize> = accepted().collect();
        let verdict = check(case, &servers).await;
        let counts: BTreeMap<&str, usize> = servers
            .keys()
            .copied()
            .zip(accepted().zip(before).map(|(after, before)| after - before))
            .collect();
        match (verdict, &case.expect) {
            (Err(why), _) => failures.push(format!("{}: {why}", case.name)),
            (Ok(()), Expect::Accepted(expected)) => {
                let wanted = |name: &&str| expected.get(*name).copied().unwrap_or(0);
                if !counts.iter().all(|(name, count)| wanted(name) == *count) {
                    failures.push(format!("{}: {counts:?}", case.name));
                }
            }
            (Ok(()), Expect::Error(_)) => {}
        }
    }
    assert!(cases.len() > 5, "only {} cases", cases.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn check(case: &Case, servers: &BTreeMap<&str, Sshd>) -> Result<(), String> {
    let hosts = case.hosts.iter();
    let hosts: Vec<(&str, &Sshd)> = hosts
        .map(|(host, server)| (host.as_str(), &servers[server.as_str()]))
        .collect();
    let map = Map::of(&hosts, &case.config);
    let mut config = map.config().linger(case.linger);
    if let Some(number) = case.max_connections {
        config = config.max_connections(number);
    }
    if let Some(number) = case.max_connections_per_host {
        config = config.max_connections_per_host(number);
    }
    let pool = Pool::new(config);
    for round in &case.rounds {
        let asked = join_all(round.iter().map(|host| pool.session(host))).await;
        match &case.expect {
            Expect::Accepted(_) => {
                let sessions: Result<Vec<Session>, Error> = asked.into_iter().collect();
                let sessions = sessions.map_err(|error| error.to_string())?;
                let commands: Vec<_> = sessions.iter().map(|one| one.command("true")).collect();
                let statuses = try_join_all(commands.iter().map(|command| command.status())).await;
                let statuses = statuses.map_err(|error| error.to_string())?;
                if !statuses.iter().all(|status| status.success()) {
                    return Err(format!("{statuses:?}"));
                }
            }
            Expect::Error(kind) => {
                for outcome in asked {
                    match outcome {
                        Err(error) if error.kind().code() == kind => {}
                        other => return Err(format!("{other:?} instead of {kind}")),
                    }
                }
            }
        }
    }
    let stats = pool.stats();
    let asked = case.rounds.iter().flatten().count();
    if matches!(case.expect, Expect::Accepted(_))
        && (stats.commands_started, stats.waiting_for_room) != (asked as u64, 0)
    {
        return Err(format!("{stats:?}"));
    }
    pool.close().await;
    Ok(())
}
