"""From folders of MIDI to token shards: `prepare` reads and cleans, `split` keeps test music apart, `shards` stores, `augment` varies."""
