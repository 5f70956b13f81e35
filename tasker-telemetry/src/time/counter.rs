//! The counter of the processor. The one place of the crate that is not safe to call.

/// How many cycles it has counted; `None` where there is no such counter that `fastant` knows.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the way of each step")]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
#[allow(
    unsafe_code,
    reason = "through a crate, which asks first whether it may, a step costs 17 instructions more of 800"
)]
pub(super) fn read() -> Option<u64> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    {
        // SAFETY: every processor of this architecture has the instruction. It reads a register, and touches no memory.
        Some(unsafe { core::arch::x86_64::_rdtsc() })
    }
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    {
        None
    }
}
