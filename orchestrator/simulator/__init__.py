"""The same core in virtual time: simulated links, disks and clients, one seed for everything."""
