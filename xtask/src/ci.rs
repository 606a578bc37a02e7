//! `cargo xtask ci`: the gate as a list of steps.
//!
//! A step is a name, what it holds, and a function; the order is from cheap to dear, except that
//! what shares build artifacts stands together. The first failure ends the run: later steps build
//! on what the earlier ones hold. A step that could not be looked at says so, by name.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;

use crate::workspace::{Verdict, Workspace, count, run as run_child};
use crate::{bare_path, deny, examples, generate, image, layers, observe, oracle, sbom, tidy};

struct Step {
    name: &'static str,
    holds: &'static str,
    run: fn(&Workspace) -> Result<Verdict>,
}

const fn step(
    name: &'static str,
    holds: &'static str,
    run: fn(&Workspace) -> Result<Verdict>,
) -> Step {
    Step { name, holds, run }
}

static STEPS: [Step; 18] = [
    step("fmt", "the sources are formatted", fmt),
    step("clippy", "no warning in any target", clippy),
    step("test", "all tests and doc tests", test),
    step(
        "portable",
        "the rewriter does the same without vectors, and with narrower ones",
        portable,
    ),
    step("otel", "traces: no warning with the feature, and a collector gets spans", otel),
    step("oracle", "Python's json reads what the rewriter makes of random bodies", oracle::check),
    step("vendor", "the zlib stand-in keeps what it promises", vendor),
    step("layers", "who may depend on whom", layers::check),
    step("tidy", "lengths, names, paths, unfinished code, links", tidy::check),
    step("metrics", "alerts, dashboard and runbooks name what there is", observe::names),
    step("promtool", "alerts fire when they should, all PromQL is parsed", observe::promtool),
    step("generate", "generated files are what would be written", |workspace| {
        generate::run(workspace, true)
    }),
    step("examples", "every configuration in config/ and deploy/ is accepted", examples::check),
    step("deny", "licences, banned crates, sources, advisories", deny::check),
    step("sbom", "what is in the binary is known, with its licences", sbom::check),
    step("image", "the Dockerfile's commands and its context fit the tree", image::check),
    step("benches", "the benches compile", benches),
    step(
        "bare-path",
        "the image's context builds with cargo, rustc, cc, ar, ld and as alone",
        bare_path::check,
    ),
];

/// The names that `--only` and `--skip` take.
pub(crate) fn step_names() -> PossibleValuesParser {
    STEPS.iter().map(|step| step.name).into()
}

pub(crate) fn list() {
    for step in &STEPS {
        println!("{:<10} {}", step.name, step.holds);
    }
}

/// Runs the chosen steps in order, up to the first failure, and sums up.
pub(crate) fn run(workspace: &Workspace, only: &[String], skip: &[String]) -> Result<()> {
    let chosen = chosen(only, skip);
    let began = Instant::now();
    let mut lines = Vec::new();
    for (at, step) in chosen.iter().enumerate() {
        println!("==> [{}/{}] {}: {}", at + 1, chosen.len(), step.name, step.holds);
        let step_began = Instant::now();
        let result = (step.run)(workspace);
        let (line, failed) = summary_line(step.name, &result, step_began.elapsed());
        println!("<== {line}");
        lines.push(line);
        if let Err(error) = result {
            println!("{error:#}");
        }
        if failed {
            let left: Vec<&str> = chosen[at + 1..].iter().map(|step| step.name).collect();
            summarise(&lines, &left, began.elapsed());
            bail!(
                "ci failed at step `{}`; run it alone with `cargo xtask ci --only {}`",
                step.name,
                step.name
            );
        }
    }
    summarise(&lines, &[], began.elapsed());
    Ok(())
}

fn chosen(only: &[String], skip: &[String]) -> Vec<&'static Step> {
    let named = |names: &[String], step: &Step| names.iter().any(|name| name == step.name);
    STEPS
        .iter()
        .filter(|step| (only.is_empty() || named(only, step)) && !named(skip, step))
        .collect()
}

/// One step's line of the summary, and whether it failed.
fn summary_line(name: &str, result: &Result<Verdict>, took: Duration) -> (String, bool) {
    let (word, rest, failed) = match result {
        Ok(Verdict::Passed(measure)) => ("passed", measure.as_str(), false),
        Ok(Verdict::Skipped(why)) => ("skipped", why.as_str(), false),
        Err(_) => ("FAILED", "", true),
    };
    (
        format!("{word:<7} {name:<10} {:>7.1} s  {rest}", took.as_secs_f64()).trim_end().to_owned(),
        failed,
    )
}

fn summarise(lines: &[String], left: &[&str], took: Duration) {
    let with = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
    println!("\n--- ci, {:.0} s", took.as_secs_f64());
    lines.iter().for_each(|line| println!("{line}"));
    if !left.is_empty() {
        println!("not run: {}", left.join(", "));
    }
    println!(
        "{} passed, {} failed, {} skipped",
        count(with("passed"), "step"),
        with("FAILED"),
        with("skipped")
    );
}

fn fmt(workspace: &Workspace) -> Result<Verdict> {
    run_child(&mut workspace.cargo(&["fmt", "--all", "--check"]))?;
    Ok(Verdict::Passed("formatted".into()))
}

fn clippy(workspace: &Workspace) -> Result<Verdict> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    run_child(&mut workspace.cargo(&arguments))?;
    Ok(Verdict::Passed("no warnings".into()))
}

fn test(workspace: &Workspace) -> Result<Verdict> {
    run_child(&mut workspace.cargo(&["test", "--workspace"]))?;
    Ok(Verdict::Passed("cargo test --workspace".into()))
}

/// The machine that runs this has vectors, most likely the widest, so `test` has used those.
fn portable(workspace: &Workspace) -> Result<Verdict> {
    for feature in ["portable", "avx2"] {
        run_child(&mut workspace.cargo(&["test", "-p", "gateway-rewrite", "--features", feature]))?;
    }
    Ok(Verdict::Passed("gateway-rewrite, without vectors and with AVX2".into()))
}

/// The default build has no traces, so neither `clippy` nor `test` has seen them. Its own tests alone: the
/// others have nothing to do with it.
fn otel(workspace: &Workspace) -> Result<Verdict> {
    let gateway = ["-p", "colonnade", "--features", "otel"];
    let mut test = workspace.cargo(&["test"]);
    run_child(test.args(gateway).args(["--bin", "colonnade", "--test", "blackbox", "traces"]))?;
    if !workspace.has_cargo("clippy") {
        return Ok(Verdict::Passed("colonnade with otel; skipped: clippy not installed".into()));
    }
    let mut clippy = workspace.cargo(&["clippy", "--quiet", "--all-targets"]);
    run_child(clippy.args(gateway).args(["--", "-D", "warnings"]))?;
    Ok(Verdict::Passed("colonnade with otel".into()))
}

/// The stand-in is patched in from outside the workspace, so `test` does not reach its tests.
fn vendor(workspace: &Workspace) -> Result<Verdict> {
    let target = workspace.target_dir()?.join("vendor");
    let mut cargo =
        workspace.cargo(&["test", "--manifest-path", "gateway/vendor/libz-ng-sys/Cargo.toml"]);
    run_child(cargo.arg("--locked").arg("--target-dir").arg(target))?;
    Ok(Verdict::Passed("gateway/vendor/libz-ng-sys".into()))
}

/// In the dev profile: whether they compile does not depend on it, and it shares what `test` built.
fn benches(workspace: &Workspace) -> Result<Verdict> {
    run_child(&mut workspace.cargo(&["bench", "--workspace", "--no-run", "--profile", "dev"]))?;
    Ok(Verdict::Passed("compiled, not run".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name_and_keep_their_order() {
        let names = |only: &[&str], skip: &[&str]| -> Vec<&str> {
            let owned =
                |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            chosen(&owned(only), &owned(skip)).iter().map(|step| step.name).collect()
        };
        assert_eq!(names(&[], &[]).len(), STEPS.len());
        assert_eq!(names(&["tidy", "layers"], &[]), ["layers", "tidy"]);
        assert_eq!(names(&["tidy", "layers"], &["tidy"]), ["layers"]);
        assert!(!names(&[], &["test"]).contains(&"test"));
    }

    #[test]
    fn a_step_has_a_name_of_its_own() {
        for (at, step) in STEPS.iter().enumerate() {
            assert!(STEPS[..at].iter().all(|earlier| earlier.name != step.name), "{}", step.name);
        }
    }

    #[test]
    fn the_summary_tells_passed_skipped_and_failed_apart() {
        let took = Duration::from_millis(1_500);
        for (result, expected, failed) in [
            (
                Ok(Verdict::Passed("31 files".into())),
                "passed  tidy           1.5 s  31 files",
                false,
            ),
            (Ok(Verdict::Skipped("no git".into())), "skipped tidy           1.5 s  no git", false),
            (Err(anyhow::anyhow!("two faults")), "FAILED  tidy           1.5 s", true),
        ] {
            assert_eq!(summary_line("tidy", &result, took), (expected.to_owned(), failed));
        }
    }
}
