//! The binary.
fn main() {
    let config = tern_server::config::Config::load(std::path::Path::new(&std::env::args().nth(1).unwrap())).unwrap();
    tern_server::log::start(&config.log);
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    rt.block_on(async {
        let s = tern_server::server::Server::start(&config).await.unwrap();
        tokio::signal::ctrl_c().await.unwrap();
        s.stop().await;
    });
}
