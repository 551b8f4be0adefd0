//go:build linux

#include "textflag.h"

// func Call(nr, a, b, c, d, e, f uint32) int32
TEXT ·Call(SB), NOSPLIT, $8-36
	MOVL nr+0(FP), AX
	MOVL a+4(FP), BX
	MOVL b+8(FP), CX
	MOVL c+12(FP), DX
	MOVL d+16(FP), SI
	MOVL e+20(FP), DI
	MOVL f+24(FP), BP
	INT  $0x80
	MOVL AX, ret+32(FP)
	RET

// func Fork(nr, a, b uintptr) int
TEXT ·Fork(SB), NOSPLIT, $0-32
	MOVQ nr+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	XORL DX, DX
	XORL R10, R10
	XORL R8, R8
	SYSCALL
	TESTQ AX, AX
	JNZ  parent
	MOVL $231, AX // exit_group
	XORL DI, DI
	SYSCALL
parent:
	MOVQ AX, ret+24(FP)
	RET

// func Fork32(nr, a, b uint32) int32
TEXT ·Fork32(SB), NOSPLIT, $0-20
	MOVL nr+0(FP), AX
	MOVL a+4(FP), BX
	MOVL b+8(FP), CX
	XORL DX, DX
	XORL SI, SI
	XORL DI, DI
	INT  $0x80
	TESTL AX, AX
	JNZ  parent
	MOVL $252, AX // exit_group
	XORL BX, BX
	INT  $0x80
parent:
	MOVL AX, ret+16(FP)
	RET
