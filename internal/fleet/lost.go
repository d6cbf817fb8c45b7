package fleet

// LostRecords are those of a service that are encrypted with one key.
type LostRecords struct {
	Service string `json:"service"`
	// Given is set for the definition that was given last, whether it was deployed or not.
	Given bool `json:"given,omitempty"`
	// Release is the number of the release, for its definition; 0 if that is not lost.
	Release int `json:"release,omitempty"`
	// Deployments are the numbers of the other deployments whose definitions are lost.
	Deployments []int `json:"deployments,omitempty"`
	// Failures, Steps and Runs count the messages of deployments that failed, and the
	// outputs of steps and of runs of jobs.
	Failures int `json:"failures,omitempty"`
	Steps    int `json:"steps,omitempty"`
	Runs     int `json:"runs,omitempty"`
}
