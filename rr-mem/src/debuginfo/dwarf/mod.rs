//! DWARF, versions 2 to 5, to the places of struct members. "DWARF Debugging
//! Information Format", version 5, chapters "Data Representation" and "Type
//! Entries"; for dwz and type units of older versions GCC's extensions.
//!
//! All units are scanned in parallel; nothing is indexed. Every definition of a
//! struct counts: units that disagree are an error, unless the user chose one.
//!
//! Not here: .dwo files, and anything about code.

mod members;
mod program;
mod scan;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::AtomicUsize,
};

use rayon::prelude::*;

use super::{MemberList, StructLayout};
use members::Reader;
pub(super) use program::Sections;
use program::{Broken, Place, Program};
use scan::{Seen, scan};

/// Entries that are looked at for the members, over all; a second's work.
const WORK: usize = if cfg!(test) { 1 << 16 } else { 1 << 26 };
/// Of definitions that differ so many are kept to be told apart.
const DEFINITIONS: usize = 8;

/// What DWARF says of the structs that are wanted.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub structs: BTreeMap<String, StructLayout>,
    /// Units whose types are in a .dwo file, and the first such file.
    pub split: usize,
    pub dwo: Option<String>,
    /// The struct, the units that disagree on it, and where.
    pub conflict: Option<Conflict>,
    /// Units that were chosen.
    pub chosen: usize,
}

/// Two definitions of a struct.
#[derive(Debug)]
pub(super) struct Conflict {
    pub name: String,
    pub units: [String; 2],
    pub difference: String,
}

/// A definition, and what it is ordered by: those of units that were not chosen
/// come last, the others as they come in the file.
#[derive(Clone, Debug)]
struct Definition {
    rank: (bool, Place),
    layout: StructLayout,
}

/// What some units have.
#[derive(Default)]
struct Gathered {
    structs: BTreeMap<usize, Vec<Definition>>,
    /// Units of the supplementary file that are imported.
    imports: BTreeSet<usize>,
    /// The .dwo file of the first unit that has one, and how many have.
    dwo: Option<(Place, String)>,
    split: usize,
    chosen: usize,
}

impl Gathered {
    fn add(&mut self, index: usize, definition: Definition) {
        let known = self.structs.entry(index).or_default();
        match known.iter_mut().find(|known| known.layout == definition.layout) {
            Some(same) => same.rank = same.rank.min(definition.rank),
            None => {
                known.push(definition);
                known.sort_by_key(|known| known.rank);
                known.truncate(DEFINITIONS);
            }
        }
    }

    fn merge(mut self, other: Self) -> Self {
        for (index, definitions) in other.structs {
            definitions.into_iter().for_each(|definition| self.add(index, definition));
        }
        self.imports.extend(other.imports);
        self.dwo = [self.dwo, other.dwo].into_iter().flatten().min();
        self.split += other.split;
        self.chosen += other.chosen;
        self
    }
}

/// One search through a program.
struct UnitSearch<'p> {
    program: &'p Program<'p>,
    wanted: &'p MemberList,
    /// A part of the names of the units that count before others.
    choice: Option<&'p str>,
    pool: AtomicUsize,
}

/// The members `wanted`; where units disagree, the one counts whose name has
/// `choice` in it.
pub(super) fn read(
    main: &Sections<'_>,
    sup: Option<&Sections<'_>>,
    wanted: &MemberList,
    choice: Option<&str>,
) -> Result<Found, String> {
    let program = Program::new(main, sup).map_err(|error| error.to_string())?;
    let pool = AtomicUsize::new(WORK);
    let search = UnitSearch { program: &program, wanted, choice, pool };
    search.run().map_err(|error| error.to_string())
}

impl UnitSearch<'_> {
    fn run(&self) -> Result<Found, Broken> {
        let own: Vec<usize> = (0..self.program.units(0)).collect();
        let mut all = self.units(0, &own)?;
        let mut seen = BTreeSet::new();
        while !all.imports.is_empty() {
            let new: Vec<usize> = std::mem::take(&mut all.imports)
                .into_iter()
                .filter(|unit| seen.insert(*unit))
                .collect();
            all = all.merge(self.units(1, &new)?);
        }
        self.settle(all)
    }

    fn units(&self, file: usize, units: &[usize]) -> Result<Gathered, Broken> {
        let one = |unit: &usize| self.unit(file, *unit);
        units.par_iter().map(one).try_reduce(Gathered::default, |one, other| Ok(one.merge(other)))
    }

    fn unit(&self, file: usize, number: usize) -> Result<Gathered, Broken> {
        let unit = self.program.unit(file, number)?;
        let Seen { types, imports, split } = scan(&unit, self.wanted)?;
        let mut found = Gathered { split: split.iter().count(), ..Gathered::default() };
        found.dwo = split.map(|name| (Place { file, unit: number, at: 0 }, name));
        for (from, import) in imports {
            let target = self.program.target(from, import)?;
            found.imports.extend((target.file == 1).then_some(target.unit));
        }
        let chosen = self.choice.is_some_and(|part| self.name(file, number).contains(part));
        found.chosen = usize::from(chosen);
        self.structs(&types, chosen, &mut found)?;
        Ok(found)
    }

    /// Reads the structs of a unit, each once.
    fn structs(
        &self,
        types: &[(usize, Place)],
        chosen: bool,
        found: &mut Gathered,
    ) -> Result<(), Broken> {
        let reader = Reader::new(self.program, &self.pool);
        let mut read = BTreeSet::new();
        for (index, place) in types {
            let Some(place) = reader.definition(*place)? else { continue };
            let Some((_, members)) = self.wanted.structs().nth(*index) else { continue };
            if read.insert((*index, place)) {
                let layout = reader.read(place, &members.inside)?;
                found.add(*index, Definition { rank: (!chosen, place), layout });
            }
        }
        Ok(())
    }

    fn name(&self, file: usize, unit: usize) -> String {
        let name = self.program.unit(file, unit).and_then(|unit| {
            let root = unit.root()?;
            Ok(unit.name(&root).map(|name| String::from_utf8_lossy(name).into_owned()))
        });
        name.ok().flatten().unwrap_or_else(|| format!("unit {unit}"))
    }

    fn settle(&self, all: Gathered) -> Result<Found, Broken> {
        let dwo = all.dwo.map(|(_, name)| name);
        let mut found = Found { split: all.split, dwo, chosen: all.chosen, ..Found::default() };
        let names: Vec<_> = self.wanted.structs().map(|(name, _)| name).collect();
        for (index, definitions) in all.structs {
            let [first, others @ ..] = &definitions[..] else { continue };
            let name = String::from_utf8_lossy(names[index]).into_owned();
            if let Some(other) = others.first().filter(|other| other.rank.0 == first.rank.0) {
                let units = [first, other].map(|one| one.rank.1).map(|p| self.name(p.file, p.unit));
                let difference = difference(&first.layout, &other.layout);
                found.conflict.get_or_insert(Conflict { name: name.clone(), units, difference });
            }
            found.structs.insert(name, first.layout.clone());
        }
        Ok(found)
    }
}

/// The first member that two layouts place differently, or else the size.
fn difference(one: &StructLayout, other: &StructLayout) -> String {
    let mut names = one.fields.keys().chain(other.fields.keys());
    let differs = names.find(|name| one.fields.get(*name) != other.fields.get(*name));
    differs.map_or_else(|| "size".into(), |name| format!("member {name}"))
}
