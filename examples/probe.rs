use merganser::{engine, lake};
fn main() {
    let rt = tokio::runtime::Runtime::new().unwrap();
    let dir = std::path::PathBuf::from("/tmp/probe-home");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(dir.join("staging")).unwrap();
    let es = engine::Settings { extensions: None, extensions_fallback: dir.join("ext"), staging: dir.join("staging"), memory_limit_bytes: None, threads: None, max_connections: 8 };
    let ls = lake::attach::Settings { catalog: dir.join("catalog.ducklake"), data_path: dir.join("store/lake") };
    let t = std::time::Instant::now();
    let e = match lake::attach::open(&es, &ls) { Ok(e) => e, Err(e) => { println!("{e:?}"); return } };
    println!("open {:?}", t.elapsed());
    rt.block_on(async {
        let r = e.run(|c| {
            for q in std::env::args().skip(1).collect::<Vec<_>>() {
                match c.query(&q, &[]) {
                    Ok((s, b)) => println!("{}\n{}", s.fields().iter().map(|f| format!("{}:{}", f.name(), f.data_type())).collect::<Vec<_>>().join(", "), arrow::util::pretty::pretty_format_batches(&b).unwrap()),
                    Err(e) => println!("{:?}", e),
                }
            }
            println!("{:?}", c.table_names("with x as (select 1) select * from silver.\"a b\" join x on 1=1 join lake.raw.t using (i) where exists (from gold.z)")?);
            println!("{:?}", c.prepare("select ? + 1")?.result_schema()?);
            println!("{:?}", c.prepare("select 1 as a, ?::int")?.result_schema()?);
            println!("{:?}", c.prepare("select 1 as a, ?::int")?.parameter_schema()?);
            lake::snapshots::current(c)
        }).await;
        println!("{r:?}");
        let _ = e.close(std::time::Duration::from_secs(1)).await;
    });
}
