//! Edits: what leaves a report as it was, and what does not.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use soliloop_check::{Edit, File, Report, Settings, check, know};

const BEFORE: &str = "\
import asyncio, logging, time
import shop

log = logging.getLogger(__name__)


def pause(seconds):
    time.sleep(seconds)


async def main():
    pause(1)
    task = asyncio.create_task(shop.sell())
    task.add_done_callback(print)


asyncio.run(main())
";

const SHOP: &str = "\
import start


class Till:
    @property
    def total(self):
        return self.count()

    def count(self):
        return len(start.PRICES)


async def sell():
    return Till().total
";

/// The report of the program after an edit of its first file, if it was carried over.
fn carried(after: &str) -> Option<Report> {
    let files = |text: &str| {
        [("shop.py", SHOP), ("start.py", text)].map(|(path, text)| File { path: path.into(), text: text.into() })
    };
    let know_all = |files: &[File]| files.iter().map(|file| know(&file.text)).collect::<Vec<_>>();
    let (old, new, settings) = (files(BEFORE), files(after), Settings::default());
    let report = check(&old, know_all(&old), &settings);
    assert!(report.findings.iter().any(|finding| finding.code == "SL002"), "{report:?}");
    let edit = Edit { index: 1, old: &know(BEFORE), new: &know(after) };
    let carried = report.after(edit, &new, &settings)?;
    let fresh = check(&new, know_all(&new), &settings);
    assert_eq!((&carried.findings, &carried.problems), (&fresh.findings, &fresh.problems), "after {after}");
    Some(carried)
}

#[test]
fn quiet_edits() {
    let lines = [
        "    # a comment\n",
        "    retries = 3\n",
        "    print('here')\n",
        "    log.info('here: %s', time.monotonic())\n",
        "    name = ', '.join(['a', str(1)]).upper()\n",
        "    for number in range(3):\n        print(number)\n",
    ];
    for line in lines {
        for place in ["    time.sleep", "    pause(1)", "    task ="] {
            let after = BEFORE.replacen(place, &format!("{line}{place}"), 1);
            assert!(carried(&after).is_some(), "{after}");
        }
    }
    for end in ["LIMIT = 3\n", "def helper(number):\n    return number + 1\n", "import json\n"] {
        assert!(carried(&format!("{BEFORE}\n\n{end}")).is_some(), "{end}");
    }
}

#[test]
fn edits_that_say_something() {
    let edits = [
        // Something blocks, is made, is awaited, is kept.
        ("    pause(1)\n", "    pause(1)\n    time.sleep(2)\n"),
        ("    pause(1)\n", "    pause(1)\n    pause(2)\n"),
        ("    pause(1)\n", "    pause(1)\n    await asyncio.sleep(0)\n"),
        ("    task.add_done_callback(print)\n", "    task.add_done_callback(print)\n    print(task)\n"),
        // Less does.
        ("    time.sleep(seconds)\n", "    time = None\n    time.sleep(seconds)\n"),
        ("    time.sleep(seconds)\n", "    print(seconds)\n"),
        ("    time.sleep(seconds)\n", "    if seconds:\n        time.sleep(seconds)\n"),
        // Others may hear of it.
        ("asyncio.run(main())\n", "asyncio.run(main())\nPRICES = [1]\n"),
        ("asyncio.run(main())\n", "asyncio.run(main())\nkinds = [shop.Till]\n"),
        ("    pause(1)\n", "    pause(1)\n    print(shop.Till().total)\n"),
        ("asyncio.run(main())\n", "asyncio.run(main())\nclass Other:\n    pass\n"),
        ("asyncio.run(main())\n", "asyncio.run(main())\nasync def other():\n    return 3\n"),
        ("async def main():\n", "async def main(log=log):\n"),
        ("import asyncio, logging, time\n", "import asyncio, logging, time  # noqa\n"),
        ("asyncio.run(main())\n", "asyncio.run(main()\n"),
    ];
    for (before, after) in edits {
        let after = BEFORE.replacen(before, after, 1);
        assert_ne!(after, BEFORE);
        assert!(carried(&after).is_none(), "{after}");
    }
}
