//! The shared cases of a fan-out, in Rust.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use rmux_core::{HostOutput, Pool};
use rmux_testkit::cases::End;
use rmux_testkit::cases::fanning::{self, Case};
use rmux_testkit::cases::pooling::SERVERS;
use rmux_testkit::sshd::Sshd;

use crate::map::Map;

#[tokio::test]
async fn shared_cases_of_a_fan_out_hold() {
    let servers = SERVERS.map(|name| (name, Sshd::start()));
    let servers: BTreeMap<&str, Sshd> = servers.into();
    let mut failures = Vec::new();
    let cases = fanning::all();
    for case in &cases {
        let before: Vec<usize> = servers.values().map(Sshd::connections_accepted).collect();
        if let Err(why) = check(case, &servers).await {
            failures.push(format!("{}: {why}", case.name));
        }
        let counts = servers.iter().zip(before);
        for ((name, sshd), before) in counts {
            let Some(accepted) = &case.accepted else {
                continue;
            };
            let count = sshd.connections_accepted() - before;
            if count != accepted.get(*name).copied().unwrap_or(0) {
                failures.push(format!("{}: {name} accepted {count}", case.name));
            }
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
    let pool = Pool::new(map.config());
    let mut fan_out = pool
        .fan_out(&case.run)
        .as_finished(!case.ordered)
        .fail_fast(case.fail_fast);
    if let Some(limit) = case.limit {
        fan_out = fan_out.limit(limit);
    }
    if let Some(timeout) = case.timeout {
        fan_out = fan_out.timeout(timeout);
    }
    if let Some(deadline) = case.deadline {
        fan_out = fan_out.deadline(deadline);
    }
    let (line, input) = (case.shell.clone(), case.stdin.clone());
    let output_limit = case.output_limit;
    let outputs = fan_out.run(move |session| {
        let mut command = session.shell(&line);
        command.input(input.clone());
        if let Some(limit) = output_limit {
            command.output_limit(super::output_limit(limit));
        }
        command
    });
    let mut outputs: Vec<HostOutput> = outputs.collect().await;
    if !case.ordered {
        outputs.sort_by_key(|output| output.index);
    }
    if outputs.len() != case.run.len() {
        return Err(format!("{} results", outputs.len()));
    }
    for (index, (output, expect)) in outputs.iter().zip(&case.expect).enumerate() {
        let (end, stdout, dropped) = match &output.result {
            Err(error) => {
                let end = End::Error(error.kind().code().to_owned());
                (end, error.partial_stdout().unwrap_or_default(), 0)
            }
            Ok(done) => {
                let code = done.status.code().ok_or("a signal")?;
                (End::Code(code), &done.stdout[..], done.stdout_dropped)
            }
        };
        let named = output.index == index && *output.host == *case.run[index];
        let wrote = stdout == expect.stdout.as_bytes() && dropped == expect.stdout_dropped;
        if !named || end != expect.end || !wrote {
            return Err(format!("{output:?} instead of {expect:?}"));
        }
    }
    pool.close().await;
    Ok(())
}
