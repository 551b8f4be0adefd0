// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// All that depends on the architecture: where a call's number and arguments lie.
#pragma once

#include "helpers.h"
#include "wire.h"

#define X32_BIT 0x40000000
#define NR_CLONE 56
#define NR_EXECVE 59

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
		case 4:
			return (__u32)GET(regs, di);
		default:
			return (__u32)GET(regs, bp);
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
	case 4:
		return GET(regs, r8);
	default:
		return GET(regs, r9);
	}
}

// Where the shape of the call stands. x32 shares the 64-bit table.
static __always_inline __u32 index_of(const bool typed, struct pt_regs *regs, bool compat)
{
	__u32 nr = GET(regs, orig_ax) & ~X32_BIT;

	if (nr >= TABLE_SIZE)
		return TABLE_SIZE - 1; // no such call
	return nr + (compat ? TABLE_32 : TABLE_64);
}
