//! What can be said about a scene. Each sentence is true: it names what is annotated, with its number.

use super::category::Category;
use super::scene::{Scene, Setting, Stance};
use crate::dice::Dice;
use crate::stage::Light;

const NUMBERS: [&str; 15] = [
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen",
];

/// All things of one category in a scene.
#[derive(Debug)]
struct Group {
    category: Category,
    count: usize,
    /// The colour, where a single thing is named by it.
    colour: Option<&'static str>,
    flying: bool,
}

/// One to five different sentences about `scene`.
pub(super) fn captions(scene: &Scene, dice: &mut Dice) -> Vec<String> {
    let mut sentences = if scene.objects.is_empty() { about_nothing(scene) } else { about_objects(scene, dice) };
    dice.shuffle(&mut sentences);
    sentences.truncate(dice.count(1, 5) as usize);
    sentences
}

fn about_nothing(scene: &Scene) -> Vec<String> {
    let (place, noun, scenery) = (place(scene.setting), noun(scene.setting), scenery(scene));
    let sentences = [
        format!("an empty {noun}."),
        format!("nobody is {place}."),
        format!("{scenery} with nobody around."),
        format!("a quiet {noun} without people or animals."),
        format!("{place} there is nothing going on."),
    ];
    sentences.iter().map(|sentence| capitalised(sentence)).collect()
}

fn about_objects(scene: &Scene, dice: &mut Dice) -> Vec<String> {
    let (above, groups): (Vec<Group>, Vec<Group>) = groups(scene).into_iter().partition(|group| group.flying);
    let (alive, others): (Vec<&Group>, Vec<&Group>) = groups.iter().partition(|group| group.category.alive());
    let (subjects, others) = if alive.is_empty() { (others, alive) } else { (alive, others) };
    let phrases = |groups: &[&Group]| groups.iter().map(|group| group.phrase()).collect::<Vec<_>>();
    let (subject, verb) = (list(&phrases(&subjects)), verb(&subjects, dice));
    let near = if others.is_empty() { String::new() } else { format!(" near {}", list(&phrases(&others))) };
    let mut all: Vec<String> = groups.iter().map(Group::phrase).collect();
    let things = list(&all);
    let far = far(scene, &above);
    let end = if far.is_empty() { String::new() } else { format!(", with {}", list(&far)) };
    all.extend(far);
    let everything = list(&all);
    let (place, scenery) = (place(scene.setting), scenery(scene));
    let be = if groups.first().is_some_and(|group| group.count > 1) { "are" } else { "is" };
    let sentences = [
        format!("{things} {place}{end}."),
        format!("{subject} {verb}{near} {place}{end}."),
        format!("{scenery} with {everything}."),
        format!("there {be} {things} {place}{end}."),
        format!("{place}, {things} can be seen{end}."),
    ];
    sentences.iter().map(|sentence| capitalised(sentence)).collect()
}

/// What is said last: the birds above and the crowd behind.
fn far(scene: &Scene, above: &[Group]) -> Vec<String> {
    let birds = above.iter().map(|group| format!("{} flying above", group.phrase()));
    birds.chain(scene.crowd.map(|_| "a crowd in the background".to_owned())).collect()
}

fn groups(scene: &Scene) -> Vec<Group> {
    let mut groups = Vec::new();
    for category in Category::ALL {
        let mut members = scene.objects.iter().filter(|object| object.category == category);
        let Some(first) = members.next() else { continue };
        let plain = matches!(category, Category::Person | Category::PottedPlant);
        let colour = if plain { None } else { Some(first.colour.name) };
        groups.push(Group { category, count: 1 + members.count(), colour, flying: first.stance == Stance::Wings });
    }
    groups.sort_by_key(|group| !group.category.alive());
    groups
}

fn list(phrases: &[String]) -> String {
    match phrases {
        [] => String::new(),
        [only] => only.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

fn verb(subjects: &[&Group], dice: &mut Dice) -> &'static str {
    let only = |categories: &[Category]| subjects.iter().all(|group| categories.contains(&group.category));
    if only(&[Category::Cat]) {
        "sitting"
    } else if only(&[Category::Car, Category::Bicycle]) {
        "parked"
    } else if only(&[Category::Backpack]) {
        "left"
    } else if only(&[Category::Person]) {
        dice.pick(&["standing", "waiting"])
    } else {
        "standing"
    }
}

fn place(setting: Setting) -> &'static str {
    match setting {
        Setting::Street => "on a city street",
        Setting::Park => "in a park",
        Setting::Beach => "on a beach",
        Setting::Room => "in a living room",
        Setting::Meadow => "in a meadow",
    }
}

fn noun(setting: Setting) -> &'static str {
    match setting {
        Setting::Street => "city street",
        Setting::Park => "park",
        Setting::Beach => "beach",
        Setting::Room => "living room",
        Setting::Meadow => "meadow",
    }
}

fn scenery(scene: &Scene) -> String {
    let noun = noun(scene.setting);
    match scene.stage.light {
        _ if scene.setting == Setting::Room => format!("a bright {noun}"),
        Light::Sunny => format!("a sunny {noun}"),
        Light::Cloudy => format!("a {noun} under a cloudy sky"),
        Light::Dusk => format!("a {noun} at dusk"),
    }
}

fn with_article(words: &str) -> String {
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {words}")
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

// === impl Group ===

impl Group {
    fn phrase(&self) -> String {
        let kind = self.category.kind();
        match (self.count, self.colour) {
            (1, Some(colour)) => with_article(&format!("{colour} {}", kind.name)),
            (1, None) => with_article(kind.name),
            (count, _) => match NUMBERS.get(count) {
                Some(number) => format!("{number} {}", kind.plural),
                None => format!("{count} {}", kind.plural),
            },
        }
    }
}
