@ As arm_enter.S, for Hyp mode: r0 HTCR, r1:r2 HTTBR, r6 HSCTLR.
	.arch	armv7ve
	mcr	p15, 4, r0, c2, c0, 2
	mcrr	p15, 4, r1, r2, c2
	isb
	mcr	p15, 4, r6, c1, c0, 0
	nop
