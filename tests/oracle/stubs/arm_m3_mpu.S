@ A Cortex-M3 whose MPU is on: region 0 is 4 MB at 0, read-only and executable for the
@ privileged; region 1 is 4 MB at 0x20000000, writable and never executed.
 .syntax unified
 .arch armv7-m
 .thumb
 .word 0x20001000, 9
start:
 ldr r0, =0xe000ed94
 mov r1, #0
 str r1, [r0, #4]
 str r1, [r0, #8]
 ldr r1, =(5 << 24) | (21 << 1) | 1
 str r1, [r0, #12]
 mov r1, #1
 str r1, [r0, #4]
 ldr r1, =0x20000000
 str r1, [r0, #8]
 ldr r1, =(1 << 28) | (1 << 24) | (21 << 1) | 1
 str r1, [r0, #12]
 mov r1, #1
 str r1, [r0]
 mov r7, #77
1: b 1b
 .pool
