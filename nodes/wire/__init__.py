"""ZooKeeper's own protocol over TCP: what unmodified ZooKeeper clients speak."""
