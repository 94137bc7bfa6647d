//! Instruction sets found at run time. A kernel takes a token that only detection can make, so
//! calling it is safe.

use std::mem::MaybeUninit;

/// The CPU tier a run uses. Bits are promised per tier and [`Numerics`](crate::Numerics).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain loops: the specification the other tiers are tested against.
    Scalar,
    /// AVX2, FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ, VL and BF16.
    Avx512,
    /// AVX-512 as above and AMX's tiles of bf16, for the products in `bf16`; all else is as on
    /// [`Isa::Avx512`].
    Amx,
}

impl Isa {
    /// Every tier, slowest first.
    pub const ALL: [Isa; 4] = [Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Amx];

    /// The fastest tier of this machine.
    pub fn detect() -> Isa {
        Isa::ALL.into_iter().rev().find(|isa| isa.available()).unwrap_or(Isa::Scalar)
    }

    /// Whether this machine can run the tier.
    pub fn available(self) -> bool {
        match self {
            Isa::Scalar => true,
            Isa::Avx2 => Avx2::detect().is_some(),
            Isa::Avx512 => Avx512::detect().is_some(),
            Isa::Amx => Amx::detect().is_some(),
        }
    }

    /// The tier that does what needs no tiles.
    pub fn without_tiles(self) -> Isa {
        if self == Isa::Amx { Isa::Avx512 } else { self }
    }

    /// The name used in arguments, logs and recorded settings.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Amx => "amx",
        }
    }

    /// The tier of that name.
    pub fn from_name(name: &str) -> Option<Isa> {
        Isa::ALL.into_iter().find(|isa| isa.name() == name)
    }
}

/// The tiers of this machine; those that it has not are reported as skipped.
#[cfg(test)]
pub(crate) fn tiers() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| {
        if !isa.available() {
            crate::skip::skip(&format!("no {} on this machine", isa.name()));
        }
        isa.available()
    })
}

/// Proof that AVX2, FMA and F16C were detected.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// Detects the tier; the answer is cached by the standard library.
    pub fn detect() -> Option<Avx2> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
        {
            return Some(Avx2(()));
        }
        None
    }
}

/// Proof that AVX-512 F, BW, DQ, VL and BF16 were detected (and AVX2 with them).
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    /// Detects the tier; the answer is cached by the standard library.
    pub fn detect() -> Option<Avx512> {
        Avx2::detect()?;
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bf16")
        {
            return Some(Avx512(()));
        }
        None
    }
}

/// Proof that AVX-512 VNNI and VBMI were detected (and AVX-512 with them).
#[derive(Clone, Copy, Debug)]
pub struct Vnni(());

impl Vnni {
    /// The same, where the tier may have it.
    pub(crate) fn of(isa: Isa) -> Option<Vnni> {
        (isa >= Isa::Avx512).then(Vnni::detect).flatten()
    }

    /// Detects what products of bytes need beyond [`Avx512`].
    pub fn detect() -> Option<Vnni> {
        Avx512::detect()?;
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vbmi") {
            return Some(Vnni(()));
        }
        None
    }
}

/// Proof that AMX's tiles of bf16 were detected (and AVX-512 with them), and that the kernel lets this
/// process use them.
#[derive(Clone, Copy, Debug)]
pub struct Amx(());

impl Amx {
    /// Detects the tier, and asks the kernel for the tiles' state the first time.
    pub fn detect() -> Option<Amx> {
        Avx512::detect()?;
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        {
            static ALLOWED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
            if *ALLOWED.get_or_init(|| tiles::are_there() && tiles::allow()) {
                return Some(Amx(()));
            }
        }
        None
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles {
    use std::arch::x86_64::__cpuid_count;

    /// Leaf 7 of CPUID: AMX-BF16 is bit 22 of EDX, AMX-TILE bit 24 (Intel 64 and IA-32 manual, volume 2).
    pub(super) fn are_there() -> bool {
        let features = __cpuid_count(7, 0).edx;
        features >> 22 & 1 == 1 && features >> 24 & 1 == 1
    }

    /// Tiles are 8 KiB of state per thread, which Linux only keeps for a process that asked for it
    /// (Documentation/arch/x86/xstate.rst). What it grants holds for every thread.
    pub(super) fn allow() -> bool {
        const ARCH_REQ_XCOMP_PERM: libc::c_int = 0x1023;
        const XFEATURE_XTILEDATA: libc::c_ulong = 18;
        // SAFETY: this request reads and writes no memory of ours.
        unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
    }
}

/// Asks the system to give the whole pages of this memory out as huge ones, from its first touch on.
pub fn ask_for_huge_pages<T>(memory: &mut [MaybeUninit<T>]) {
    const PAGE: usize = 4096;
    let start = memory.as_mut_ptr().cast::<u8>();
    let skipped = start.align_offset(PAGE);
    let len = size_of_val(memory).saturating_sub(skipped) / PAGE * PAGE;
    #[cfg(target_os = "linux")]
    if len > 0 {
        // SAFETY: these pages are the slice's; the advice changes in what pages they come, not what they
        // hold, and where it is refused they come as before.
        unsafe { libc::madvise(start.wrapping_add(skipped).cast(), len, libc::MADV_HUGEPAGE) };
    }
}

/// Asks for the cache lines with these elements; those outside of all memory are passed over. They come into
/// the second-level cache: the first one can wait for too few lines at a time to read as fast as memory can
/// (24 on Zen 4: 11 against 21 GB/s on one thread).
#[inline(always)]
pub fn prefetch<T>(values: &[T], first: usize, count: usize) {
    ask::<false>(values.as_ptr().wrapping_add(first).cast(), count * size_of::<T>());
}

/// Asks for the cache lines of some values that will soon be written, into the first-level cache: the second one
/// takes 6 % of a product with K 512.
#[inline(always)]
pub(crate) fn prefetch_outputs(first: *const f32, count: usize) {
    ask::<true>(first.cast(), count * size_of::<f32>());
}

#[inline(always)]
fn ask<const NEAR: bool>(base: *const i8, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        for at in (0..bytes).step_by(64) {
            let line = base.wrapping_add(at);
            if NEAR {
                // SAFETY: a prefetch reads nothing, whatever the address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
            } else {
                // SAFETY: likewise.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(line) };
            }
        }
    }
}

/// Defines a function whose plain body is compiled once per tier and chosen at run time.
///
/// Rust neither reorders nor contracts floating-point operations, so the tiers give the same bits;
/// they differ in speed only. Write `mul_add` where a fused operation is meant.
#[macro_export]
macro_rules! per_tier {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name(isa: $crate::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn plain($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2($($arg: $ty),*) $(-> $ret)? { plain($($arg),*) }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($arg: $ty),*) $(-> $ret)? { plain($($arg),*) }

            match isa {
                #[cfg(target_arch = "x86_64")]
                $crate::Isa::Avx512 | $crate::Isa::Amx => {
                    assert!($crate::Isa::Avx512.available(), "avx512 was chosen but not detected");
                    // SAFETY: the line above proves that the features are present.
                    unsafe { avx512($($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::Isa::Avx2 => {
                    assert!($crate::Isa::Avx2.available(), "avx2 was chosen but not detected");
                    // SAFETY: the line above proves that the features are present.
                    unsafe { avx2($($arg),*) }
                }
                _ => plain($($arg),*),
            }
        }
    };
}
