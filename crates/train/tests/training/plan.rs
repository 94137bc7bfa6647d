//! Plans: what they choose, what they promise, and what they refuse.

use crate::bench::{Bench, documents, goldens};
use model::save::{BaseForm, random_base};
use model::{Config, Head, Policy};
use ops::{Isa, Target};
use train::{Budget, DeviceProfile, Job, Plan};

const BATCH: &str = "[batch]\ntokens = 256\nmicro_batches = 3\n[schedule]\nsteps = 4\n";

/// A model of three blocks that a GPU has kernels for, in 4 bits.
fn job(bench: &Bench) -> Job {
    job_of(bench, BATCH)
}

fn job_of(bench: &Bench, rest: &str) -> Job {
    let directory = bench.path("wide");
    if !directory.exists() {
        let golden = Config::read(&goldens().join("plain").join("model")).unwrap();
        let config = Config { heads: 2, kv_heads: 1, head_dim: 64, hidden: 128, ..golden };
        let form = BaseForm { double: false, embedding: Head::AsStored };
        std::fs::create_dir(&directory).unwrap();
        random_base((&config, 3), form, &directory, &mut |_| ()).unwrap();
    }
    Job::open(&bench.recipe_over(&directory, "[lora]\n", rest)).unwrap()
}

fn cuda() -> Target {
    Target { device: ops::Device::Cuda { sm: 86 }, alignment: 256 }
}

fn uniform(job: &Job, target: Target, policy: Policy) -> Plan {
    Plan::with_policies(job, target, &[policy; 3]).unwrap()
}

#[test]
fn as_little_as_needed_is_offloaded_then_recomputed() {
    let bench = Bench::new(&documents(30, 128), 128, 24);
    let job = job(&bench);
    let within = |device, host| Plan::new(&job, cuda(), Budget { device, host }).unwrap().policies;
    let keep = uniform(&job, cuda(), Policy::Keep);
    let offload = uniform(&job, cuda(), Policy::Offload);
    let recompute = uniform(&job, cuda(), Policy::Recompute);
    assert!(offload.size.device < keep.size.device && recompute.size.device < keep.size.device);
    assert_eq!(within(None, None), [Policy::Keep; 3]);
    assert_eq!(within(Some(keep.size.device), None), [Policy::Keep; 3]);
    let [o, r, k] = [Policy::Offload, Policy::Recompute, Policy::Keep];
    assert_eq!(within(Some(offload.size.device), None), [o; 3]);
    // One block of three offloaded still needs two shared sets, so nothing is gained before two.
    let host = keep.size.pinned + keep.host_bytes;
    let one = Plan::with_policies(&job, cuda(), &[r, k, k]).unwrap();
    let two = Plan::with_policies(&job, cuda(), &[r, r, k]).unwrap();
    assert!(two.size.device < one.size.device, "each further block frees memory");
    assert_eq!(within(Some(two.size.device), Some(host)), [r, r, k]);
    assert_eq!(within(Some(recompute.size.device), Some(host)), [r; 3]);
}

#[test]
fn held_out_documents_take_no_more_of_a_device_than_training() {
    let bench = Bench::new(&documents(30, 128), 128, 24);
    let (plain, held) = (job(&bench), job_of(&bench, &format!("held_out = 0.2\n{BATCH}")));
    assert!(plain.held_out().is_empty() && !held.held_out().is_empty());
    for policy in [Policy::Checkpoint, Policy::Recompute] {
        let [without, with] = [&plain, &held].map(|job| uniform(job, cuda(), policy).size.device);
        assert_eq!(without, with, "{policy:?}");
    }
}

#[test]
fn on_the_host_everything_counts_together() {
    let bench = Bench::new(&documents(30, 128), 128, 24);
    let job = job(&bench);
    let target = Target::cpu(Isa::detect(), 2);
    let keep = uniform(&job, target, Policy::Keep);
    let recompute = uniform(&job, target, Policy::Recompute);
    let host = Some(recompute.total_bytes());
    let chosen = Plan::new(&job, target, Budget { device: None, host }).unwrap();
    assert!(chosen.total_bytes() <= recompute.total_bytes());
    assert!(chosen.policies.iter().all(|policy| *policy != Policy::Offload));
    assert!(keep.total_bytes() > recompute.total_bytes());
}

#[test]
fn what_cannot_fit_names_what_would() {
    let bench = Bench::new(&documents(30, 128), 128, 24);
    let job = job(&bench);
    let recompute = uniform(&job, cuda(), Policy::Recompute).size.device;
    let offload = uniform(&job, cuda(), Policy::Offload).size.device;
    let device = Some(recompute.min(offload) * 3 / 4);
    let error = Plan::new(&job, cuda(), Budget { device, host: None }).unwrap_err().to_string();
    let most = error.split("at most ").nth(1).and_then(|rest| rest.split(' ').next());
    let most: usize = most.unwrap_or_else(|| panic!("{error}")).parse().unwrap();
    assert!((24..256).contains(&most), "{error}");
    for (tokens, fits) in [(most, true), (most + 1, false)] {
        let rest = BATCH.replace("256", &tokens.to_string());
        let job = job_of(&bench, &rest);
        let plan = Plan::new(&job, cuda(), Budget { device, host: None });
        assert_eq!(plan.is_ok(), fits, "{tokens} tokens");
    }
    let nothing = Budget { device: Some(1000), host: None };
    let error = Plan::new(&job, cuda(), nothing).unwrap_err().to_string();
    assert!(error.contains("not even one token would fit"), "{error}");
}

#[test]
fn work_grows_with_recomputing_and_time_with_work() {
    let bench = Bench::new(&documents(30, 128), 128, 24);
    let job = job(&bench);
    let keep = uniform(&job, cuda(), Policy::Keep);
    let offload = uniform(&job, cuda(), Policy::Offload);
    let recompute = uniform(&job, cuda(), Policy::Recompute);
    assert_eq!(keep.step.flops, offload.step.flops);
    assert!(offload.step.copied > keep.step.copied);
    // Forward, dX and a second forward: between 4/3 and 3/2 of forward and dX.
    let ratio = recompute.step.flops as f64 / keep.step.flops as f64;
    assert!((1.2..1.5).contains(&ratio), "{ratio}");
    let profile = DeviceProfile::named("rtx3060").unwrap();
    let seconds = keep.best_step_seconds(&profile);
    assert!(recompute.best_step_seconds(&profile) > seconds);
    // The sum of maxima lies between the maximum and the sum of the totals, the host's part aside.
    let arithmetic = keep.step.flops as f64 / profile.flops;
    let traffic = (keep.step.read + keep.step.written) as f64 / profile.bandwidth;
    assert!(seconds <= arithmetic + traffic && seconds > 0.9 * arithmetic, "{seconds}");
    let slow = DeviceProfile::cpu(1 << 30, profile.bandwidth / 10.0, profile.flops / 10.0);
    assert!(keep.best_step_seconds(&slow) > 10.0 * seconds, "the host's work counts there");
    assert!(DeviceProfile::named("abacus").is_none());
}
