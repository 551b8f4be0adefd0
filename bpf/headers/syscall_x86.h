// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// All that depends on the architecture: call numbers and where the arguments lie.
#pragma once

#include "helpers.h"
#include "wire.h"

#define X32_BIT 0x40000000

// The call of a number in the 64-bit table; x32 shares it but for its execs.
static __always_inline __u8 call_of_64(__u32 nr)
{
	switch (nr & ~X32_BIT) {
	case 2:
		return CALL_OPEN;
	case 42:
		return CALL_CONNECT;
	case 59:
	case 520:
		return CALL_EXECVE;
	case 85:
		return CALL_CREAT;
	case 257:
		return CALL_OPENAT;
	case 322:
	case 545:
		return CALL_EXECVEAT;
	case 437:
		return CALL_OPENAT2;
	}
	return CALL_NONE;
}

// The same calls in the 32-bit table, which int 0x80 reaches from any process.
static __always_inline __u8 call_of_32(__u32 nr)
{
	switch (nr) {
	case 5:
		return CALL_OPEN;
	case 8:
		return CALL_CREAT;
	case 11:
		return CALL_EXECVE;
	case 295:
		return CALL_OPENAT;
	case 358:
		return CALL_EXECVEAT;
	case 362:
		return CALL_CONNECT;
	case 437:
		return CALL_OPENAT2;
	}
	return CALL_NONE;
}

// The n-th argument, from 0. Constant n only.
static __always_inline __u64 argument(const bool typed, struct pt_regs *regs, bool compat, int n)
{
	if (compat) {
		switch (n) {
		case 0:
			return (__u32)GET(regs, bx);
		case 1:
			return (__u32)GET(regs, cx);
		case 2:
			return (__u32)GET(regs, dx);
		case 3:
			return (__u32)GET(regs, si);
		default:
			return (__u32)GET(regs, di);
		}
	}
	switch (n) {
	case 0:
		return GET(regs, di);
	case 1:
		return GET(regs, si);
	case 2:
		return GET(regs, dx);
	case 3:
		return GET(regs, r10);
	default:
		return GET(regs, r8);
	}
}
