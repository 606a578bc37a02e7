#![allow(clippy::unwrap_used)]
use std::path::Path;
struct N; impl gateway_settings::LookUp for N { fn variable(&self,_:&str)->Option<String>{None} fn file(&self,_:&Path)->std::io::Result<String>{Err(std::io::ErrorKind::NotFound.into())} }
#[test] fn m(){ for n in [25_000usize,100_000]{ let mut t=String::from("version: 1\naccounts:\n"); for k in 0..n { if k%1000==0 { t.push_str(&format!("  acc{}:\n    plan: starter\n    keys:\n",k/1000)); } t.push_str(&format!("      key_{k}:\n        name: CRM Integration\n        digest: \"sha256:{k:064x}\"\n        display: avoca_ab12…9f0c\n        scopes: [calls:read, leads:read]\n        data_scope: org_full\n        owner: u_ann\n        expires_at: 2027-01-01T00:00:00Z\n        allowed_ips: [203.0.113.0/24]\n")); }
 let b=std::time::Instant::now(); let l=gateway_settings::load_directory(&t,Path::new("d.yaml"),&N).unwrap(); eprintln!("{n} keys {} MB {:?} left {}", t.len()>>20, b.elapsed(), l.left_out.len()); } 
 let s=std::fs::read_to_string("/proc/self/status").unwrap(); eprintln!("{}", s.lines().filter(|l| l.starts_with("VmHWM")).collect::<String>()); }
