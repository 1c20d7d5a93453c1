# A boot sector that makes a machine record what comes from outside: it reads 8 sectors
# behind itself, says RR on the first serial port, sends back every byte it gets with the
# low bit changed, and says "!" for the byte "q". The machine runs on.
	.code16
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$0x7c00, %sp
	mov	$0x0208, %ax
	mov	$0x0002, %cx
	mov	$0x0080, %dx
	mov	$0x8000, %bx
	int	$0x13
	mov	$'R', %al
	call	send
	call	send
next:	mov	$0x3fd, %dx
	in	%dx, %al
	test	$1, %al
	jz	next
	mov	$0x3f8, %dx
	in	%dx, %al
	cmp	$'q', %al
	je	quit
	xor	$1, %al
	call	send
	jmp	next
quit:	mov	$'!', %al
	call	send
	jmp	next
send:	push	%ax
1:	mov	$0x3fd, %dx
	in	%dx, %al
	test	$0x20, %al
	jz	1b
	pop	%ax
	mov	$0x3f8, %dx
	out	%al, %dx
	ret
	.org	510
	.word	0xaa55
