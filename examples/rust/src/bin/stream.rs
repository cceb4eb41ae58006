//! Follows a remote file until Ctrl-C: `stream HOST FILE`. The remote `tail` ends with this program.

use rmux_core::{Config, Session};
use tokio::io::AsyncWriteExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(host), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: stream HOST FILE".into());
    };
    let session = Session::connect(&host, Config::new()).await?;
    let mut tail = session.command("tail");
    let mut child = tail
        .args(["-n", "10", "-F", "--", &file])
        .kill_on_drop(true)
        .spawn()
        .await?;
    let mut lines = child
        .stdout
        .take()
        .ok_or("standard output is piped by default")?;
    let mut screen = tokio::io::stdout();
    loop {
        tokio::select! {
            piece = lines.chunk() => match piece? {
                Some(piece) => {
                    screen.write_all(&piece).await?;
                    screen.flush().await?;
                }
                None => break,
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    drop(child);
    session.close().await;
    Ok(())
}
