//! Runs a few commands on one host at the same time: `run HOST COMMAND...`, a command an argument.

use futures_util::future::join_all;
use rmux_core::{Config, Session};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().ok_or("usage: run HOST COMMAND...")?;
    let session = Session::connect(&host, Config::new()).await?;
    let runs = arguments.map(|line| {
        let session = session.clone();
        async move {
            let output = session.shell(&line).output().await;
            (line, output)
        }
    });
    for (line, output) in join_all(runs).await {
        match output {
            Ok(output) => {
                println!("$ {line}  [{}]", output.status);
                print!("{}", String::from_utf8_lossy(&output.stdout));
                eprint!("{}", String::from_utf8_lossy(&output.stderr));
            }
            Err(error) => println!("$ {line}  [{error}]"),
        }
    }
    session.close().await;
    Ok(())
}
