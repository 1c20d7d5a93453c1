//! The text of the monitor's `info registers -a`, of x86 and ARM guests.
//!
//! It has more than the gdb stub: segments, control registers, EFER. Left out
//! are flags that QEMU has not computed yet: their form depends on how it
//! translates.

use crate::diverge::CpuState;

/// Flags that are not computed yet: their parts, and how to.
const LAZY: [&str; 4] = ["CCS", "CCD", "CCO", "CCF"];

/// Every CPU; bytes are those of the text, most significant first.
pub fn parse(text: &str) -> Vec<CpuState> {
    let mut cpus: Vec<CpuState> = Vec::new();
    for line in text.lines() {
        if let Some(number) = line.trim().strip_prefix("CPU#") {
            let number = number.trim().parse().unwrap_or(cpus.len() as u64);
            cpus.push(CpuState { number, pc: None, registers: Vec::new(), paging: None });
        } else if let Some(cpu) = cpus.last_mut() {
            self::line(line, &mut cpu.registers);
        }
    }
    for cpu in &mut cpus {
        cpu.pc = pc(&cpu.registers);
    }
    cpus
}

/// The registers of one line, each `NAME=VALUE`. Spaces may stand inside a
/// value, and behind a name.
fn line(line: &str, registers: &mut Vec<(String, Vec<u8>)>) {
    let mut found: Vec<(&str, String)> = Vec::new();
    let mut before = "";
    for word in line.split_whitespace() {
        let open = found.last_mut().filter(|_| word.len() >= 4 && is_hex(word));
        match (word.split_once('='), open) {
            (Some(("", value)), _) => found.push((before, value.to_owned())),
            (Some((name, value)), _) => found.push((name, value.to_owned())),
            (None, Some((_, value))) => value.push_str(word),
            (None, None) => {}
        }
        before = word;
    }
    let named = found.into_iter().filter(|(name, _)| is_name(name) && !LAZY.contains(name));
    registers.extend(named.filter_map(|(name, value)| Some((as_gdb(name), bytes(&value)?))));
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut digits: String = text.chars().filter(|c| *c != ':').collect();
    if digits.is_empty() || !is_hex(&digits) {
        return None;
    }
    if digits.len() % 2 == 1 {
        digits.insert(0, '0');
    }
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// gdb's name of what the monitor calls `name`.
fn as_gdb(name: &str) -> String {
    let lower = name.to_lowercase();
    match lower.as_str() {
        "efl" | "rfl" => return "eflags".to_owned(),
        "psr" => return "cpsr".to_owned(),
        _ => {}
    }
    let letters = lower.trim_end_matches(|c: char| c.is_ascii_digit());
    match lower[letters.len()..].parse::<u32>() {
        Ok(number) if !letters.is_empty() => format!("{letters}{number}"),
        _ => lower,
    }
}

/// The linear address of the next instruction.
fn pc(registers: &[(String, Vec<u8>)]) -> Option<u64> {
    let find = |name: &str| registers.iter().find(|(known, _)| known == name);
    let value = |name: &str| find(name).map(|(_, bytes)| number(bytes));
    if let Some(pc) = ["rip", "pc", "r15"].into_iter().find_map(value) {
        return Some(pc);
    }
    let ip = value("eip")?;
    // Selector, base, limit and rights.
    let base = find("cs").and_then(|(_, bytes)| bytes.get(2..bytes.len().checked_sub(8)?));
    Some(base.map_or(0, number).wrapping_add(ip) & u64::from(u32::MAX))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As QEMU 7.2 prints it.
    const REAL_MODE: &str = "\r\nCPU#0\r
EAX=00000060 EBX=00000035 ECX=00000000 EDX=000603fd\r
EIP=00000010 EFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r
ES =0000 00000000 0000ffff 00009300\r
CS =f000 000f0000 0000ffff 00009b00\r
GDT=     00000000 0000ffff\r
FCW=037f FSW=0000 [ST=0] FTW=00 MXCSR=00001f80\r
FPR0=0000000000000000 0000 FPR1=0000000000000000 0000\r
XMM00=0000000000000000 0000000000000001 XMM01=0000000000000000 0000000000000000\r
CCS=00000044 CCD=00000044 CCO=EFLAGS\r
";
    const AARCH64: &str = "\nCPU#1\n PC=ffff800008011d54 X00=0000000000000000 X01=0000000000000001
X02=0000000000000002  SP=ffff80000a0a3f00\nPSTATE=600003c5 -ZC- EL1h  SVCR=00000000 --  BTYPE=0
Q00=0000000000000000:00000000000000ff\n";

    fn register<'a>(cpu: &'a CpuState, name: &str) -> Option<&'a [u8]> {
        cpu.registers.iter().find(|(known, _)| known == name).map(|(_, bytes)| &bytes[..])
    }

    #[test]
    fn an_x86_cpu_has_gdbs_names_and_no_lazy_flags() {
        let [cpu] = &parse(REAL_MODE)[..] else { panic!("one CPU") };
        assert_eq!((cpu.number, cpu.pc), (0, Some(0xf0010)));
        assert_eq!(register(cpu, "eflags"), Some(&[0, 0, 0, 0x46][..]));
        assert_eq!(register(cpu, "hlt"), Some(&[0][..]));
        assert_eq!(register(cpu, "gdt").map(<[u8]>::len), Some(8));
        assert_eq!(register(cpu, "fpr1").map(<[u8]>::len), Some(10));
        assert_eq!(register(cpu, "xmm0").and_then(|bytes| bytes.last()), Some(&1));
        assert!(["ccs", "ccd", "cco", "st"].iter().all(|name| register(cpu, name).is_none()));
    }

    #[test]
    fn an_aarch64_cpu_has_its_pc() {
        let [cpu] = &parse(AARCH64)[..] else { panic!("one CPU") };
        assert_eq!((cpu.number, cpu.pc), (1, Some(0xffff_8000_0801_1d54)));
        assert_eq!(register(cpu, "x2").map(number), Some(2));
        assert_eq!(register(cpu, "q0").and_then(|bytes| bytes.last()), Some(&0xff));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(CPU#[0-9]{0,30}\n|[A-Z0-9]{0,3} ?=[0-9a-f:]{0,9}|[ \n\\[=é]){0,40}") {
            parse(&text);
        }
    }
}
