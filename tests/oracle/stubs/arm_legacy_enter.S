@ Loads the translation registers of a CPU before ARMv7 from r0..r5; the last instruction
@ may switch the MMU on, and the oracle stops the CPU right behind it.
@ r0 TTBCR, r1 TTBR0, r2 TTBR1, r3 DACR, r4 FCSEIDR, r5 SCTLR.
	.arch	armv4
	mcr	p15, 0, r0, c2, c0, 2
	mcr	p15, 0, r1, c2, c0, 0
	mcr	p15, 0, r2, c2, c0, 1
	mcr	p15, 0, r3, c3, c0, 0
	mcr	p15, 0, r4, c13, c0, 0
	mcr	p15, 0, r5, c1, c0, 0
	nop
