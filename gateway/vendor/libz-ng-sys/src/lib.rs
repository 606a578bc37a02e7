//! Stand-in for `libz-ng-sys` so that the build needs no cmake: same names, backed by zlib-rs.
#![allow(non_camel_case_types, non_snake_case)]
use core::ffi::{c_char, c_int, c_uchar, c_uint, c_ulong, c_void};
use libz_rs_sys as z;
pub type uInt = c_uint;
pub type alloc_func = unsafe extern "C" fn(*mut c_void, c_uint, c_uint) -> *mut c_void;
pub type free_func = unsafe extern "C" fn(*mut c_void, *mut c_void);
pub enum internal_state {}
#[repr(C)]
pub struct z_stream {
    pub next_in: *mut c_uchar, pub avail_in: c_uint, pub total_in: c_ulong,
    pub next_out: *mut c_uchar, pub avail_out: c_uint, pub total_out: c_ulong,
    pub msg: *mut c_char, pub state: *mut internal_state,
    pub zalloc: alloc_func, pub zfree: free_func, pub opaque: *mut c_void,
    pub data_type: c_int, pub adler: c_ulong, pub reserved: c_ulong,
}
const _: () = assert!(core::mem::size_of::<z_stream>() == core::mem::size_of::<z::z_stream>());
const _: () = assert!(core::mem::offset_of!(z_stream, adler) == core::mem::offset_of!(z::z_stream, adler));
pub unsafe fn deflate(s: *mut z_stream, f: c_int) -> c_int { z::deflate(s.cast(), f) }
pub unsafe fn deflateEnd(s: *mut z_stream) -> c_int { z::deflateEnd(s.cast()) }
pub unsafe fn deflateReset(s: *mut z_stream) -> c_int { z::deflateReset(s.cast()) }
pub unsafe fn deflateParams(s: *mut z_stream, l: c_int, st: c_int) -> c_int { z::deflateParams(s.cast(), l, st) }
pub unsafe fn deflateSetDictionary(s: *mut z_stream, d: *const c_uchar, n: c_uint) -> c_int { z::deflateSetDictionary(s.cast(), d, n) }
pub unsafe fn deflateInit2_(s: *mut z_stream, l: c_int, m: c_int, w: c_int, ml: c_int, st: c_int, v: *const c_char, n: c_int) -> c_int { z::deflateInit2_(s.cast(), l, m, w, ml, st, v, n) }
pub unsafe fn inflate(s: *mut z_stream, f: c_int) -> c_int { z::inflate(s.cast(), f) }
pub unsafe fn inflateEnd(s: *mut z_stream) -> c_int { z::inflateEnd(s.cast()) }
pub unsafe fn inflateReset2(s: *mut z_stream, w: c_int) -> c_int { z::inflateReset2(s.cast(), w) }
pub unsafe fn inflateSetDictionary(s: *mut z_stream, d: *const c_uchar, n: c_uint) -> c_int { z::inflateSetDictionary(s.cast(), d, n) }
pub unsafe fn inflateInit2_(s: *mut z_stream, w: c_int, v: *const c_char, n: c_int) -> c_int { z::inflateInit2_(s.cast(), w, v, n) }
pub fn zlibVersion() -> *const c_char { z::zlibVersion() }
pub const Z_NO_FLUSH: c_int = 0; pub const Z_PARTIAL_FLUSH: c_int = 1; pub const Z_SYNC_FLUSH: c_int = 2;
pub const Z_FULL_FLUSH: c_int = 3; pub const Z_FINISH: c_int = 4; pub const Z_BLOCK: c_int = 5;
pub const Z_OK: c_int = 0; pub const Z_STREAM_END: c_int = 1; pub const Z_NEED_DICT: c_int = 2;
pub const Z_STREAM_ERROR: c_int = -2; pub const Z_DATA_ERROR: c_int = -3; pub const Z_MEM_ERROR: c_int = -4; pub const Z_BUF_ERROR: c_int = -5;
pub const Z_DEFLATED: c_int = 8; pub const Z_DEFAULT_STRATEGY: c_int = 0;
