@ Loads the translation registers of PL1 from r0..r6; the last instruction may
@ switch the MMU on, and the oracle stops the CPU right behind it.
@ r0 TTBCR, r1:r2 TTBR0, r3:r4 TTBR1, r5 DACR, r6 SCTLR.
	.arch	armv7ve
	mcr	p15, 0, r0, c2, c0, 2
	mcrr	p15, 0, r1, r2, c2
	mcrr	p15, 1, r3, r4, c2
	mcr	p15, 0, r5, c3, c0, 0
	isb
	mcr	p15, 0, r6, c1, c0, 0
	nop
