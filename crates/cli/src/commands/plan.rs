//! `srek plan`: what a recipe needs and how fast it can be at best, before anything is loaded.

use super::doctor::Peaks;
use crate::args::{DeviceName, PlanArgs};
use crate::machine::{self, Machine};
use crate::output::{Answer, Format, bytes, duration, pairs, table};
use crate::recipes;
use anyhow::Result;
use model::Policy;
use ops::{Backend, Dry, Event, Space, Target};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use train::{Budget, DeviceProfile, Job, Plan, Trainer};

mod decode;
mod shape;

pub(crate) use shape::longest_of;

/// Time of each measurement of this machine.
const MEASURE: Duration = Duration::from_millis(300);

/// A machine to plan for.
struct Place {
    target: Target,
    profile: DeviceProfile,
    budget: Budget,
}

/// Plans.
pub(crate) fn run(args: &PlanArgs, machine: &Machine, format: Format) -> Result<Answer> {
    let place = place(args.device, machine);
    match (&args.recipe, &args.model) {
        (Some(recipe), _) => of_recipe(recipe, args, place),
        (None, Some(model)) => match args.decode {
            Some(depth) => decode::run(model, depth, args, place),
            None => shape::run(model, args, place, format),
        },
        (None, None) => unreachable!("one of them is required"),
    }
}

fn of_recipe(recipe: &Path, args: &PlanArgs, place: Place) -> Result<Answer> {
    let job = Job::open(&recipes::read(recipe, &args.overrides, None)?)?;
    let plan = Plan::new(&job, place.target, place.budget)?;
    let kinds = kinds(&job, &plan, place.target)?;
    let seconds = plan.best_step_seconds(&place.profile);
    let batch = &job.recipe().batch;
    let tokens = batch.tokens * batch.micro_batches;
    let count = |policy| plan.policies.iter().filter(|it| **it == policy).count();
    let [keep, offload, recompute, checkpoint] = Policy::ALL.map(count);

    let mut text = pairs(&[
        ("device", place.profile.name.clone()),
        ("usable memory", bytes(place.profile.usable as u64)),
        ("on the device", bytes(plan.size.device as u64)),
        ("pinned", bytes(plan.size.pinned as u64)),
        ("heap", bytes(plan.host_bytes as u64)),
        ("in all", bytes(plan.total_bytes() as u64)),
        ("weights mapped", bytes(plan.size.mapped as u64)),
        (
            "activations",
            format!(
                "{keep} blocks kept, {offload} offloaded, {recompute} recomputed, {checkpoint} \
                 recomputed from offloaded inputs"
            ),
        ),
        ("work of a step", format!("{:.3} TFLOP", plan.step.flops as f64 / 1e12)),
        ("best step", format!("{}, {tokens} tokens", precise(seconds))),
        ("best speed", format!("{:.0} tokens/s", tokens as f64 / seconds)),
        ("steps", format!("{}, {} at best", job.total_steps(), total(&job, seconds))),
    ]);
    text.push('\n');
    let mut rows = vec![vec!["buffers".to_owned(), "where".to_owned(), "bytes".to_owned()]];
    rows.extend(kinds.iter().map(|it| vec![it.label.into(), it.space.into(), bytes(it.bytes)]));
    text.push_str(&table(&rows));
    let listed: Vec<_> = kinds
        .iter()
        .map(|it| serde_json::json!({ "kind": it.label, "where": it.space, "bytes": it.bytes }))
        .collect();
    let json = serde_json::json!({
        "device": place.profile.name,
        "usable_bytes": place.profile.usable,
        "device_bytes": plan.size.device,
        "pinned_bytes": plan.size.pinned,
        "mapped_bytes": plan.size.mapped,
        "host_bytes": plan.host_bytes,
        "total_bytes": plan.total_bytes(),
        "blocks": { "keep": keep, "offload": offload, "recompute": recompute, "checkpoint": checkpoint },
        "step": {
            "tokens": tokens,
            "flops": plan.step.flops,
            "read_bytes": plan.step.read,
            "written_bytes": plan.step.written,
            "copied_bytes": plan.step.copied,
            "best_seconds": seconds,
        },
        "steps": job.total_steps(),
        "buffers": listed,
    });
    Ok(Answer { text, json })
}

/// A short time with the digits that matter.
fn precise(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.2} ms", seconds * 1e3) } else { duration(seconds) }
}

fn total(job: &Job, seconds: f64) -> String {
    duration(seconds * job.total_steps() as f64)
}

fn place(device: DeviceName, machine: &Machine) -> Place {
    let named = |name: &str, sm| {
        let profile = DeviceProfile::named(name).expect("a profile of this name exists");
        let target = Target::cuda(sm);
        let budget = Budget { device: Some(profile.usable), host: profile.host_memory };
        Place { target, profile, budget }
    };
    match device {
        DeviceName::Rtx3060 => named("rtx3060", 86),
        DeviceName::H200 => named("h200", 90),
        DeviceName::Cpu => {
            let peaks = Peaks::measure(machine, MEASURE);
            let available = machine::memory().map(|(_, available)| available as usize);
            let profile = DeviceProfile::cpu(
                available.unwrap_or_default(),
                peaks.read_bandwidth,
                peaks.bf16_flops.max(peaks.f32_flops),
            );
            let budget = Budget { device: None, host: available };
            Place { target: machine.target(), profile, budget }
        }
    }
}

/// All buffers of one kind in one space.
struct Buffers {
    label: &'static str,
    space: &'static str,
    bytes: u64,
}

/// The layout's buffers by kind, largest first, and the largest workspace that stands on them.
fn kinds(job: &Job, plan: &Plan, target: Target) -> Result<Vec<Buffers>> {
    let mut dry = Dry::new(target);
    dry.record_events();
    Trainer::layout(&mut dry, job, &job.step_options(&plan.policies))?;
    let mut sums: BTreeMap<(&'static str, &'static str), u64> = BTreeMap::new();
    for event in dry.trace().events.iter().flatten() {
        let Event::Alloc { label, buf } = event else { continue };
        let (space, bytes) = match buf.space {
            Space::Device => ("device", buf.bytes().next_multiple_of(target.alignment)),
            Space::Pinned => ("pinned", buf.bytes().next_multiple_of(target.alignment)),
            Space::Mapped(_) => ("mapped file", buf.bytes()),
        };
        *sums.entry((label, space)).or_default() += bytes as u64;
    }
    let workspace = plan.size.device - dry.trace().height.device;
    sums.insert(("workspace", "device"), workspace as u64);
    let mut kinds: Vec<Buffers> =
        sums.into_iter().map(|((label, space), bytes)| Buffers { label, space, bytes }).collect();
    kinds.sort_by_key(|it| std::cmp::Reverse(it.bytes));
    Ok(kinds)
}
