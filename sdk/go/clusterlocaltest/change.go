package clusterlocaltest

// A Mark is a point in time, for queries that arrive after it.
type Mark struct {
	// Serial of the SOA record: a client that sees this serial or a later one sees the change.
	Serial uint32 `json:"serial"`
	// Query is the number of the latest query at that time.
	Query uint64 `json:"query"`
}

// A Change is visible in the DNS.
type Change struct {
	Mark
	// Names that were added or removed.
	Names []NameChange `json:"names"`
}

// A NameChange is a name that was added or removed.
type NameChange struct {
	Added bool `json:"added"`
	// Name without the cluster domain and "svc": db-0.db.default.
	Name string `json:"name"`
	// Target is the address, or the target of an alias.
	Target string `json:"target"`
}

func (n NameChange) String() string {
	if n.Added {
		return "+" + n.Name
	}
	return "-" + n.Name
}
