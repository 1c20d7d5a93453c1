# A boot sector: counts at 0x9200, and reads sectors 1 and 2 by turns into 0x9000, for ever.
	.code16
	.set	buffer, 0x9000
	.set	counter, 0x9200
	.set	drive, 0x9300
	.set	packet, 0x7c80
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$0x7000, %sp
	mov	%dl, drive
again:	incw	counter
	mov	$packet, %si
	mov	drive, %dl
	mov	$0x42, %ah		# extended read
	int	$0x13
	xorw	$3, packet + 8
	jmp	again
	.org	0x80
	.byte	16, 0			# the packet: size, sectors, where to, which
	.word	1, buffer, 0
	.quad	1
	.org	510
	.word	0xaa55
