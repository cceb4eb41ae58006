//! Absolute times on loopback, kept by criterion from run to run, so that a change of the code
//! shows as a change of the numbers (`--save-baseline`, `--baseline`). Nothing is judged here:
//! that is `ratios`' job.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use rmux_benches::bare::Bare;
use rmux_benches::ours::Ours;
use rmux_benches::{NOTHING, SINK, source};
use rmux_testkit::sshd::Sshd;
use tokio::runtime::Runtime;

/// What one iteration sends one way.
const STREAM: u64 = 64 << 20;

fn main() {
    let sshd = Sshd::start();
    let runtime = Runtime::new().expect("a runtime");
    let ours = runtime.block_on(Ours::connect(&sshd, sshd.addr()));
    let bare = runtime.block_on(Bare::connect(&sshd, sshd.addr()));
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_secs(1))
        .configure_from_args();

    let mut group = criterion.benchmark_group("exec");
    group.measurement_time(Duration::from_secs(4));
    group.bench_function("rmux", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(async || black_box(ours.exec(NOTHING).await));
    });
    group.bench_function("bare", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(async || black_box(bare.exec(NOTHING).await));
    });
    group.finish();

    let mut group = criterion.benchmark_group("stream");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    // Each iteration is long: as many of them in each sample.
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Bytes(STREAM));
    let line = &source(STREAM);
    group.bench_function(BenchmarkId::new("down", "rmux"), |bencher| {
        bencher
            .to_async(&runtime)
            .iter(async || black_box(ours.download(line).await));
    });
    group.bench_function(BenchmarkId::new("down", "bare"), |bencher| {
        bencher
            .to_async(&runtime)
            .iter(async || black_box(bare.download(line).await));
    });
    group.bench_function(BenchmarkId::new("up", "rmux"), |bencher| {
        bencher
            .to_async(&runtime)
            .iter(async || black_box(ours.upload(SINK, STREAM).await));
    });
    group.bench_function(BenchmarkId::new("up", "bare"), |bencher| {
        bencher
            .to_async(&runtime)
            .iter(async || black_box(bare.upload(SINK, STREAM).await));
    });
    group.finish();

    runtime.block_on(ours.close());
    runtime.block_on(bare.close());
    criterion.final_summary();
}
