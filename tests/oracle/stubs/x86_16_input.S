# A ROM that adds up 16 bytes from the first serial port, and stores each sum: the byte is read
# at f0100, the sum stored at f0120. The machine runs on.
	.code16
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$0x7000, %sp
	mov	$0x1000, %di
	xor	%ebx, %ebx
poll:	mov	$0x3fd, %dx
	in	%dx, %al
	test	$1, %al
	jz	poll
	mov	$0x3f8, %dx
	jmp	input
	.org	0x100
input:	in	%dx, %al
	movzx	%al, %eax
	add	%eax, %ebx
	jmp	store
	.org	0x120
store:	mov	%ebx, (%di)
	add	$4, %di
	cmp	$0x1040, %di
	jne	poll
rest:	incl	0x500
	jmp	rest
	.org	0xfff0
	ljmp	$0xf000, $0
	.org	0xffff
	.byte	0
