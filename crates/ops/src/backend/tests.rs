use super::*;
use crate::residual::{Copy, Zero};
use quant::Isa;

/// Some calls of every kind, on any backend.
fn program<B: Backend>(backend: &mut B) {
    let weights = HostBytes::new(Arc::new(vec![0_u8; 64]), 0, 64);
    backend.weights("weights", Space::Device, DType::U8, &weights);
    let a = backend.alloc("a", Space::Device, DType::F32, 5);
    let b = backend.alloc("b", Space::Device, DType::F32, 5);
    let host = backend.alloc("host", Space::Pinned, DType::F32, 5);
    backend.write(a, &[1.0_f32, 2.0, 3.0, 4.0, 5.0]);
    backend.launch(Copy { from: a, to: b });
    backend.copy_out(Queue::Copy, b, host);
    let fence = backend.record(Queue::Copy);
    backend.wait(Queue::Compute, fence);
    let mark = backend.mark();
    backend.alloc("temporary", Space::Device, DType::Bf16, 1000);
    backend.release(mark);
    backend.launch(Zero { to: a });
    backend.copy_in(Queue::Copy, host, a);
    backend.finish().unwrap();
}

#[test]
fn dry_and_cpu_leave_the_same_trace() {
    let target = Target::cpu(Isa::detect(), 2);
    let mut dry = Dry::new(target);
    dry.record_events();
    program(&mut dry);
    let mut cpu = Cpu::new(target, dry.trace().peak);
    cpu.record_events();
    program(&mut cpu);
    assert_eq!(dry.trace().events, cpu.trace().events);
    assert_eq!(dry.trace().peak, cpu.trace().peak);
    assert_eq!(dry.trace().total, cpu.trace().total);
}

#[test]
fn values_survive_the_round_trip() {
    let mut cpu =
        Cpu::new(Target::cpu(Isa::detect(), 1), Size { device: 256, pinned: 256, mapped: 0 });
    let device = cpu.alloc("device", Space::Device, DType::F32, 3);
    let host = cpu.alloc("host", Space::Pinned, DType::F32, 3);
    cpu.write(device, &[1.0_f32, 2.0, 3.0]);
    cpu.copy_out(Queue::Copy, device, host);
    cpu.launch(Zero { to: device });
    cpu.copy_in(Queue::Copy, host, device);
    let mut values = [0.0_f32; 3];
    cpu.read(device, &mut values);
    assert_eq!(values, [1.0, 2.0, 3.0]);
}

#[test]
#[should_panic(expected = "plan was exceeded")]
fn the_plan_is_never_exceeded() {
    let mut cpu =
        Cpu::new(Target::cpu(Isa::detect(), 1), Size { device: 64, pinned: 0, mapped: 0 });
    cpu.alloc("too large", Space::Device, DType::U8, 65);
}

#[test]
#[should_panic(expected = "buffers overlap")]
fn a_launch_cannot_alias() {
    let mut cpu =
        Cpu::new(Target::cpu(Isa::detect(), 1), Size { device: 64, pinned: 0, mapped: 0 });
    let buf = cpu.alloc("buffer", Space::Device, DType::F32, 8);
    cpu.launch(Copy { from: buf.slice(0, 4), to: buf.slice(2, 4) });
}

#[test]
fn misaligned_weights_are_copied() {
    let bytes: Arc<Vec<u8>> = Arc::new((0..64).collect());
    let mut cpu =
        Cpu::new(Target::cpu(Isa::detect(), 1), Size { device: 64, pinned: 0, mapped: 0 });
    let shift = (0..4).find(|s| bytes.as_ptr().addr().wrapping_add(*s) % 4 == 1).unwrap();
    let odd =
        cpu.weights("odd", Space::Device, DType::F32, &HostBytes::new(bytes.clone(), shift, 8));
    assert_eq!(odd.space, Space::Device);
    let even = cpu.weights("even", Space::Device, DType::U8, &HostBytes::new(bytes, shift, 8));
    assert_eq!(even.space, Space::Mapped(0));
    let mut values = [0_u8; 8];
    cpu.read(even, &mut values);
    assert!(values.iter().enumerate().all(|(i, &v)| usize::from(v) == shift + i));
}
