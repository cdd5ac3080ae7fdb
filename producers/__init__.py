"""What clinics say: event contracts, the publisher and the simulator."""
